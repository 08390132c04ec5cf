/* A camera for machines without one: preloaded, it answers for one device path of Linux' V4L2.
 *
 *   gcc -O2 -shared -fPIC -o fake_v4l2.so fake_v4l2.c -ldl -lpthread
 *   FAKE_V4L2=/dev/video9 FAKE_V4L2_CONTROL=file LD_PRELOAD=./fake_v4l2.so program
 *
 * The first letter of the control file says what the camera does, looked at for every picture:
 *   r  runs, 30 pictures a second
 *   s  stalls: stays open and sends nothing
 *   u  is unplugged: the path is gone, and every request answers ENODEV
 *
 * Pictures are YUYV, 640x480 or 1280x720, with their number as 16 bars in the upper half. With
 * FAKE_V4L2_MJPEG=file they are JPEGs instead, taken in turn from the file, each after its length as
 * four bytes, little-endian.
 *
 * It plays to the real system calls of the reader, not to a driver or to USB. One reader at a time.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define MAX_BUFFERS 8
#define FPS 30
#define BARS 16
#define MAX_BYTES (1280 * 720 * 2)

struct filled {
    int index;
    uint32_t bytes, sequence;
    struct timeval at;
};

static int reader = -1, bell = -1; /* both ends of a pipe: readable while a picture waits */
static int width = 640, height = 480, num_buffers, is_streaming, is_ending;
static unsigned char *memory[MAX_BUFFERS], *jpegs;
static size_t jpegs_bytes, jpegs_at;
static int empty[MAX_BUFFERS], num_empty, num_filled;
static struct filled filled[MAX_BUFFERS];
static uint32_t sequence;
static pthread_t painter;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(type, name, ...)                                                                    \
    static type (*real)(__VA_ARGS__);                                                            \
    if (!real) real = dlsym(RTLD_NEXT, name)

static int real_open(const char *path, int flags) {
    REAL(int, "open", const char *, int, ...);
    return real(path, flags);
}

static int real_close(int fd) {
    REAL(int, "close", int);
    return real(fd);
}

static int is_camera(const char *path) {
    const char *camera = getenv("FAKE_V4L2");
    return path && camera && !strcmp(path, camera);
}

static char mode(void) {
    char letter = 'r';
    int fd = real_open(getenv("FAKE_V4L2_CONTROL"), O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (read(fd, &letter, 1) != 1) letter = 'r';
        real_close(fd);
    }
    return letter;
}

static void paint(unsigned char *yuyv, uint32_t number) {
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int bar = x / (width / BARS), luma = 120;
            if (y < height / 2 && bar < BARS) luma = number >> (BARS - 1 - bar) & 1 ? 210 : 40;
            yuyv[(y * width + x) * 2] = luma;
            yuyv[(y * width + x) * 2 + 1] = 128;
        }
}

static uint32_t fill(unsigned char *buffer, uint32_t number) {
    if (!jpegs) {
        paint(buffer, number);
        return width * height * 2;
    }
    if (jpegs_at >= jpegs_bytes) jpegs_at = 0;
    uint32_t length;
    memcpy(&length, jpegs + jpegs_at, 4);
    memcpy(buffer, jpegs + jpegs_at + 4, length);
    jpegs_at += 4 + length;
    return length;
}

static void *paint_for_ever(void *unused) {
    while (!is_ending) {
        usleep(1000000 / FPS);
        char now = mode();
        pthread_mutex_lock(&lock);
        if (now == 'u') (void)!write(bell, "u", 1); /* wakes a reader that polls */
        if (now == 'r') sequence++;
        if (now == 'r' && num_empty) {
            int index = empty[0];
            memmove(empty, empty + 1, sizeof *empty * --num_empty);
            struct timespec at;
            clock_gettime(CLOCK_MONOTONIC, &at);
            struct filled *one = &filled[num_filled++];
            *one = (struct filled){index, fill(memory[index], sequence), sequence,
                                   {at.tv_sec, at.tv_nsec / 1000}};
            (void)!write(bell, "f", 1);
        }
        pthread_mutex_unlock(&lock);
    }
    return unused;
}

static void end_stream(void) {
    if (!is_streaming) return;
    is_ending = 1;
    pthread_join(painter, 0);
    is_streaming = is_ending = 0;
}

static void load_jpegs(void) {
    const char *path = getenv("FAKE_V4L2_MJPEG");
    if (!path || jpegs) return;
    int fd = real_open(path, O_RDONLY | O_CLOEXEC);
    struct stat found;
    if (fd < 0 || fstat(fd, &found)) return;
    jpegs = malloc(found.st_size);
    jpegs_bytes = read(fd, jpegs, found.st_size);
    real_close(fd);
}

static int open_camera(int flags) {
    int ends[2];
    if (mode() == 'u') { errno = ENOENT; return -1; }
    if (reader >= 0) { errno = EBUSY; return -1; }
    if (pipe2(ends, (flags & O_NONBLOCK) | O_CLOEXEC)) return -1;
    reader = ends[0], bell = ends[1];
    fcntl(bell, F_SETFL, O_NONBLOCK);
    load_jpegs();
    num_empty = num_filled = num_buffers = 0;
    return reader;
}

int open(const char *path, int flags, ...) {
    REAL(int, "open", const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    int rights = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0;
    va_end(rest);
    return is_camera(path) ? open_camera(flags) : real(path, flags, rights);
}

int open64(const char *path, int flags, ...) {
    REAL(int, "open64", const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    int rights = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0;
    va_end(rest);
    return is_camera(path) ? open_camera(flags) : real(path, flags, rights);
}

int close(int fd) {
    if (fd >= 0 && fd == reader) {
        end_stream();
        real_close(bell);
        bell = reader = -1;
    }
    return real_close(fd);
}

static int fail(int error) {
    errno = error;
    return -1;
}

static int set_format(struct v4l2_format *format) {
    struct v4l2_pix_format *pix = &format->fmt.pix;
    width = pix->width >= 1280 ? 1280 : 640;
    height = pix->width >= 1280 ? 720 : 480;
    pix->width = width, pix->height = height;
    pix->pixelformat = jpegs ? V4L2_PIX_FMT_MJPEG : V4L2_PIX_FMT_YUYV;
    pix->field = V4L2_FIELD_NONE;
    pix->bytesperline = jpegs ? 0 : width * 2;
    pix->sizeimage = width * height * 2;
    return 0;
}

static int take_filled(struct v4l2_buffer *buffer) {
    char letter;
    if (read(reader, &letter, 1) != 1) return fail(EAGAIN);
    if (letter == 'u') return fail(ENODEV);
    pthread_mutex_lock(&lock);
    struct filled one = filled[0];
    memmove(filled, filled + 1, sizeof *filled * --num_filled);
    pthread_mutex_unlock(&lock);
    buffer->index = one.index;
    buffer->bytesused = one.bytes;
    buffer->length = MAX_BYTES;
    buffer->flags = V4L2_BUF_FLAG_DONE | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    buffer->timestamp = one.at;
    buffer->sequence = one.sequence;
    return 0;
}

static int answer(unsigned request, void *argument) {
    if (mode() == 'u') return fail(ENODEV);
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *capability = argument;
        memset(capability, 0, sizeof *capability);
        strcpy((char *)capability->card, "Fake test camera");
        capability->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        capability->capabilities = capability->device_caps | V4L2_CAP_DEVICE_CAPS;
        return 0;
    }
    case VIDIOC_ENUM_FMT: {
        struct v4l2_fmtdesc *description = argument;
        if (description->index) return fail(EINVAL);
        description->pixelformat = jpegs ? V4L2_PIX_FMT_MJPEG : V4L2_PIX_FMT_YUYV;
        return 0;
    }
    case VIDIOC_S_FMT:
        return set_format(argument);
    case VIDIOC_S_PARM: {
        struct v4l2_streamparm *parameters = argument;
        parameters->parm.capture.timeperframe = (struct v4l2_fract){1, FPS};
        return 0;
    }
    case VIDIOC_REQBUFS: {
        struct v4l2_requestbuffers *wanted = argument;
        if (wanted->count > MAX_BUFFERS) wanted->count = MAX_BUFFERS;
        num_buffers = wanted->count;
        return 0;
    }
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *buffer = argument;
        if ((int)buffer->index >= num_buffers) return fail(EINVAL);
        buffer->length = MAX_BYTES;
        buffer->m.offset = 0x1000 * (buffer->index + 1);
        return 0;
    }
    case VIDIOC_QBUF: {
        struct v4l2_buffer *buffer = argument;
        if ((int)buffer->index >= num_buffers) return fail(EINVAL);
        pthread_mutex_lock(&lock);
        empty[num_empty++] = buffer->index;
        pthread_mutex_unlock(&lock);
        return 0;
    }
    case VIDIOC_DQBUF:
        return take_filled(argument);
    case VIDIOC_STREAMON:
        is_streaming = 1;
        return pthread_create(&painter, 0, paint_for_ever, 0);
    case VIDIOC_STREAMOFF:
        end_stream();
        return 0;
    default:
        return fail(ENOTTY);
    }
}

int ioctl(int fd, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    REAL(int, "ioctl", int, unsigned long, ...);
    return fd >= 0 && fd == reader ? answer((unsigned)request, argument)
                                   : real(fd, request, argument);
}

void *mmap(void *at, size_t length, int rights, int flags, int fd, off_t offset) {
    REAL(void *, "mmap", void *, size_t, int, int, int, off_t);
    if (fd < 0 || fd != reader) return real(at, length, rights, flags, fd, offset);
    int index = (int)(offset / 0x1000) - 1;
    if (index < 0 || index >= MAX_BUFFERS) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    return memory[index] =
               real(0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

void *mmap64(void *at, size_t length, int rights, int flags, int fd, off_t offset) {
    return mmap(at, length, rights, flags, fd, offset);
}

static int stat_camera(struct stat *found) {
    if (mode() == 'u') return fail(ENOENT);
    memset(found, 0, sizeof *found);
    found->st_mode = S_IFCHR | 0660;
    found->st_rdev = makedev(81, 9);
    return 0;
}

int stat(const char *path, struct stat *found) {
    REAL(int, "stat", const char *, struct stat *);
    return is_camera(path) ? stat_camera(found) : real(path, found);
}

int stat64(const char *path, struct stat64 *found) {
    REAL(int, "stat64", const char *, struct stat64 *);
    return is_camera(path) ? stat_camera((struct stat *)found) : real(path, found);
}
