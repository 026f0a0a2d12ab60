/* A driver and a management library of an NVIDIA card that does not exist, with a known truth.
 *
 * Built once as a shared library and linked to under both names, so that everything which talks to
 * libcuda.so.1 or libnvidia-ml.so.1 can be rehearsed with real pointers on a machine without a card.
 * A kernel takes the milliseconds that synthetic_enqueue says, on the card's own clock, made worse
 * as real cards do: slow while it warms up, noisy, with outliers, and throttled in spells.
 *
 * SYNTHETIC_GPU_INIT        what cuInit returns                       (0)
 * SYNTHETIC_GPU_CARDS       how many there are                        (1)
 * SYNTHETIC_GPU_NAME        the card's name                           (Synthetic V100)
 * SYNTHETIC_GPU_CAPABILITY  its compute capability                    (7.0)
 * SYNTHETIC_GPU_MEMORY      its bytes                                 (16e9)
 * SYNTHETIC_GPU_THROTTLE    never, spells (12 of 400 ms) or always    (never)
 * SYNTHETIC_GPU_LAUNCH      ms until work on an idle stream begins    (0.01)
 * SYNTHETIC_GPU_CAPTURE     works or fails                            (works)
 * SYNTHETIC_GPU_CUDA        the newest CUDA that the driver runs      (12040)
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUT_OF_MEMORY 2
#define INVALID 1
#define CAPTURE_UNSUPPORTED 900
#define CAPTURE_INVALIDATED 901
#define MOST_PIECES 65536

static double now_ms, captured_ms;
static int capturing, busy, graph_launches;
static uint64_t next_address = 0x7f0000100000, reset_at, used_bytes;
static struct { uint64_t address, bytes; } pieces[MOST_PIECES]; /* of memory; free: no bytes */
static uint64_t state = 1;

static const char *setting(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value ? value : otherwise;
}

static double uniform(void) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(state >> 11) / 9007199254740992.0;
}

static int throttles(void) {
    const char *how = setting("SYNTHETIC_GPU_THROTTLE", "never");
    return !strcmp(how, "always") || (!strcmp(how, "spells") && fmod(now_ms, 400) < 12);
}

static void run(double ms) {
    double factor = 1 + 0.01 * (uniform() + uniform() + uniform() - 1.5);
    if (now_ms < 200) factor *= 1.5 - now_ms / 400; /* clocks go up */
    if (throttles()) factor *= 1.6;
    if (uniform() < 0.01) factor *= 3;
    if (!busy) now_ms += atof(setting("SYNTHETIC_GPU_LAUNCH", "0.01"));
    busy = 1;
    now_ms += ms * factor;
}

void synthetic_reset(void) {
    now_ms = captured_ms = 0;
    capturing = busy = graph_launches = 0;
    used_bytes = 0;
    reset_at = next_address;
    memset(pieces, 0, sizeof pieces);
    state = 1;
}
double synthetic_clock_ms(void) { return now_ms; }
uint64_t synthetic_used_bytes(void) { return used_bytes; }
int synthetic_is_capturing(void) { return capturing; }
int synthetic_graph_launches(void) { return graph_launches; }

static int piece_at(uint64_t address) {
    for (int i = 0; i < MOST_PIECES; i++)
        if (pieces[i].bytes && pieces[i].address == address) return i;
    return -1;
}
uint64_t synthetic_bytes_at(uint64_t address) {
    int piece = piece_at(address);
    return piece < 0 ? 0 : pieces[piece].bytes;
}
void synthetic_enqueue(void *stream, double ms) {
    (void)stream;
    if (capturing) captured_ms += ms;
    else run(ms);
}

int cuInit(unsigned flags) { return flags ? INVALID : atoi(setting("SYNTHETIC_GPU_INIT", "0")); }
int cuDriverGetVersion(int *version) { *version = atoi(setting("SYNTHETIC_GPU_CUDA", "12040")); return 0; }
int cuGetErrorName(int status, const char **name) {
    *name = status == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY"
        : status == CAPTURE_UNSUPPORTED ? "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"
        : status == CAPTURE_INVALIDATED ? "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"
        : "CUDA_ERROR_INVALID_VALUE";
    return 0;
}
int cuDeviceGetCount(int *count) { *count = atoi(setting("SYNTHETIC_GPU_CARDS", "1")); return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = 7; return ordinal ? INVALID : 0; }
int cuDeviceGetName(char *name, int size, int device) {
    if (device != 7) return INVALID;
    snprintf(name, size, "%s", setting("SYNTHETIC_GPU_NAME", "Synthetic V100"));
    return 0;
}
int cuDeviceGetUuid(unsigned char *uuid, int device) {
    if (device != 7) return INVALID;
    const char *name = setting("SYNTHETIC_GPU_NAME", "Synthetic V100");
    memset(uuid, 0, 16); /* zeros inside, as real ones may have */
    for (int i = 0; name[i]; i++) uuid[i % 16] ^= (unsigned char)(name[i] * (i + 1));
    uuid[5] = 0;
    return 0;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    int major = 7, minor = 0;
    sscanf(setting("SYNTHETIC_GPU_CAPABILITY", "7.0"), "%d.%d", &major, &minor);
    *value = attribute == 75 ? major : minor;
    return device == 7 && (attribute == 75 || attribute == 76) ? 0 : INVALID;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) {
    *bytes = (size_t)atof(setting("SYNTHETIC_GPU_MEMORY", "16e9"));
    return device == 7 ? 0 : INVALID;
}
int cuDevicePrimaryCtxRetain(void **context, int device) {
    *context = (void *)0x7f00dead0000; /* does not fit into 32 bits */
    return device == 7 ? 0 : INVALID;
}
int cuCtxSetCurrent(void *context) { return context == (void *)0x7f00dead0000 ? 0 : INVALID; }

int cuMemAlloc_v2(uint64_t *address, size_t bytes) {
    if (used_bytes + bytes > (uint64_t)atof(setting("SYNTHETIC_GPU_MEMORY", "16e9")))
        return OUT_OF_MEMORY;
    int piece = 0;
    while (piece < MOST_PIECES && pieces[piece].bytes) piece++;
    if (!bytes || piece == MOST_PIECES) return INVALID;
    used_bytes += bytes;
    *address = next_address;
    next_address += (bytes + 511) / 512 * 512;
    pieces[piece].address = *address;
    pieces[piece].bytes = bytes;
    return 0;
}
int cuMemFree_v2(uint64_t address) {
    int piece = piece_at(address);
    if (piece < 0) return address > 0x7f0000000000 && address < reset_at ? 0 : INVALID;
    used_bytes -= pieces[piece].bytes;
    pieces[piece].bytes = 0;
    return 0;
}
int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t bytes) {
    return to > 0x7f0000000000 && from && bytes ? 0 : INVALID;
}
int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t bytes) {
    memset(to, 0, bytes);
    return from > 0x7f0000000000 ? 0 : INVALID;
}

int cuStreamCreate(void **stream, unsigned flags) { *stream = (void *)0x7f00beef0000; return flags > 1; }
int cuStreamSynchronize(void *stream) {
    if (!stream || capturing) return !stream ? INVALID : CAPTURE_UNSUPPORTED;
    busy = 0;
    return 0;
}
int cuStreamBeginCapture_v2(void *stream, int mode) {
    if (!stream || capturing || mode > 2) return CAPTURE_UNSUPPORTED;
    capturing = 1;
    captured_ms = 0;
    return 0;
}
int cuStreamEndCapture(void *stream, void **graph) {
    if (!stream || !capturing) return INVALID;
    capturing = 0;
    *graph = NULL;
    if (strcmp(setting("SYNTHETIC_GPU_CAPTURE", "works"), "works")) return CAPTURE_INVALIDATED;
    double *made = malloc(sizeof *made);
    *made = captured_ms;
    *graph = made;
    return 0;
}
int cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long flags) {
    if (!graph || flags) return INVALID;
    double *made = malloc(sizeof *made);
    *made = *(double *)graph;
    *executable = made;
    return 0;
}
int cuGraphLaunch(void *executable, void *stream) {
    if (!executable || !stream || capturing) return INVALID;
    graph_launches++;
    run(*(double *)executable);
    return 0;
}
int cuGraphDestroy(void *graph) { free(graph); return 0; }
int cuGraphExecDestroy(void *executable) { free(executable); return 0; }

int cuEventCreate(void **event, unsigned flags) { *event = calloc(1, sizeof(double)); return flags ? INVALID : 0; }
int cuEventRecord(void *event, void *stream) {
    if (!event || !stream) return INVALID;
    if (capturing) return CAPTURE_UNSUPPORTED;
    *(double *)event = now_ms;
    return 0;
}
int cuEventSynchronize(void *event) {
    busy = 0; /* all that is on the stream ends with the event */
    return event ? 0 : INVALID;
}
int cuEventElapsedTime(float *ms, void *start, void *end) {
    *ms = (float)(*(double *)end - *(double *)start);
    return 0;
}

int nvmlInit_v2(void) { return 0; }
int nvmlSystemGetDriverVersion(char *version, unsigned size) {
    snprintf(version, size, "550.54.15");
    return 0;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    *device = (void *)0x7f00cafe0000;
    return strncmp(uuid, "GPU-", 4) || strlen(uuid) != 40;
}
#define CARD(device) if ((device) != (void *)0x7f00cafe0000) return INVALID
int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *reasons) {
    CARD(device);
    *reasons = throttles() ? 0x20 : 0x2; /* 0x2: the user's own clock setting, no throttling */
    return 0;
}
int nvmlDeviceGetClockInfo(void *device, int kind, unsigned *mhz) {
    CARD(device);
    *mhz = kind == 2 ? 877 : throttles() ? 900 : 1530;
    return 0;
}
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *celsius) {
    CARD(device);
    *celsius = 40 + (unsigned)fmin(now_ms / 100, 40);
    return sensor;
}
int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) {
    CARD(device);
    *milliwatts = 212500;
    return 0;
}
