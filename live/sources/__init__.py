"""Where pictures come from: RTSP, USB cameras, files, HTTP; each as a connection to read from."""
