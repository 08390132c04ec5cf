"""Every metric there is. Source of names and labels: API.md 7."""

from api.prometheus.series import Counter, Durations, Gauge, Series

RULE = ("rule_id", "stream_id")

REQUESTS = Counter(
    "lookout_requests_total",
    "Requests by route, method and status; 499: the client left first",
    ("route", "method", "status"),
)
REQUEST_SECONDS = Durations(
    "lookout_request_seconds", "From a request's headers to its last byte", ("route",)
)

QUEUE_DEPTH = Gauge("lookout_queue_depth", "Requests that wait for the model", ("class",))
RUNNING_SEQUENCES = Gauge("lookout_running_sequences", "Answers in the making", ("class",))
QUEUE_SECONDS = Durations(
    "lookout_queue_seconds", "From submission to the beginning of work", ("class",)
)
FIRST_TOKEN_SECONDS = Durations(
    "lookout_time_to_first_token_seconds", "From submission to the first token", ("class",)
)
TOKEN_SECONDS = Durations("lookout_token_seconds", "Between two tokens of one answer", ("class",))
PROMPT_TOKENS = Counter(
    "lookout_prompt_tokens_total",
    "Tokens of prompts; cached ones were not computed again, and count under their own kind too",
    ("kind",),
)
GENERATED_TOKENS = Counter("lookout_generated_tokens_total", "Tokens drawn", ("class",))
ENCODE_SECONDS = Durations("lookout_encode_seconds", "Vision tower, one turn of the engine")
PREFILL_SECONDS = Durations("lookout_prefill_seconds", "Reading of prompts, one turn")
CACHE_HITS = Counter("lookout_vision_cache_hits_total", "Pictures whose tokens were still there")
CACHE_MISSES = Counter("lookout_vision_cache_misses_total", "Pictures that had to be encoded")
CACHE_BYTES = Gauge("lookout_vision_cache_bytes", "Memory that tokens of pictures take")

FETCH_SECONDS = Durations("lookout_fetch_seconds", "Downloads of media", ("kind",))
DECODE_SECONDS = Durations("lookout_decode_seconds", "Decoding of media", ("kind",))
MEDIA = Counter(
    "lookout_media_total",
    "Media that were read, or the code of the error",
    ("kind", "result"),
)

STREAM_STATE = Gauge(
    "lookout_stream_state", "1 for the state a stream is in", ("stream_id", "state")
)
FRAME_AGE = Gauge(
    "lookout_stream_frame_age_seconds", "Age of a stream's newest frame", ("stream_id",)
)
RECONNECTS = Counter(
    "lookout_stream_reconnects_total", "Times a stream's source came back", ("stream_id",)
)
FRAMES = Counter(
    "lookout_stream_frames_total", "Frames due for a stream's buffer", ("stream_id", "result")
)

ALERT_STATUS = Gauge(
    "alert_status",
    "1 while a rule of /api/v1/alerts is on, on any stream",
    ("alert_number", "alert_string"),
)
RULE_SCORE = Gauge("lookout_rule_score", "Score of the last known look", RULE)
RULE_ON = Gauge("lookout_rule_on", "1 while an event of the rule is open", RULE)
RULE_INTERVAL = Gauge("lookout_rule_interval_seconds", "Achieved time between looks", RULE)
RULE_LOOKS = Counter("lookout_rule_looks_total", "Looks by what they said", (*RULE, "verdict"))
SKIPPED_LOOKS = Counter("lookout_rule_skipped_looks_total", "Looks spared by still pictures", RULE)
LOOK_SECONDS = Durations("lookout_look_seconds", "From the newest frame's capture to the verdict")

EVENTS = Counter("lookout_events_total", "Messages about events", ("type", "severity", "kind"))
DELIVERIES = Counter("lookout_deliveries_total", "Attempts to deliver", ("sink_kind", "result"))
OUTBOX_DEPTH = Gauge("lookout_outbox_depth", "Deliveries that wait")
OUTBOX_OLDEST = Gauge("lookout_outbox_oldest_seconds", "Age of the oldest delivery that waits")
FEED_CLIENTS = Gauge("lookout_feed_clients", "Open event feeds", ("kind",))
PREVIEW_CLIENTS = Gauge("lookout_preview_clients", "Open previews of streams")

MODEL_LOADED = Gauge("lookout_model_loaded", "1 while the model is loaded and its engine turns")
MODEL_INFO = Gauge(
    "lookout_model_info",
    "Always 1; what is served is in the labels",
    ("model", "runner", "quantization", "device", "version"),
)
GPU_MEMORY = Gauge("lookout_gpu_memory_bytes", "Memory of the GPUs; absent without one", ("kind",))

CATALOGUE = tuple(one for one in vars().values() if isinstance(one, Series))
