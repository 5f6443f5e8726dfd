/* Knows how to put echo calls on a server, as load.py does, at a tenth of its cost: Python's own is full at 700 calls.
 *
 * In, one line each: port, pid of the server, seconds, seconds not measured, number of
 * calls, then a path for each. Out: the report as JSON. Built by harness/native.py when there is a compiler. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FRAME = 640, HEAD = 8, BUFFER = 1 << 16, OPENING = 16, PATH = 700 };
#define PERIOD 0.02
#define GRACE 1.0
#define OPEN_SECONDS 60.0
#define CLOSE_SECONDS 10.0

typedef struct { double *at; size_t count, room; } List;
typedef struct {
    int fd, shaken, ready, closed;
    size_t held, sent, echoed, wrong;
    double phase;
    List planned, left;
    char *path;
    unsigned char *in;
} Call;

static const unsigned char MASK[4] = {0x5a, 0x17, 0xc3, 0xe8};
static const char FIRST[] = "{\"event\":\"websocket:connected\",\"content-type\":\"audio/l16;rate=16000\",\"app\":\"echo\"}";
static unsigned char noise[FRAME], message[HEAD + FRAME];
static List added, since, late;
static double measured_from = INFINITY;
static int poller, port, ready_calls, opening;
static Call *calls;
static size_t call_count, next_to_open;

static void die(const char *why) { fprintf(stderr, "%s: %s\n", why, strerror(errno)); exit(1); }
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
static void add(List *list, double value) {
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 512;
        list->at = realloc(list->at, list->room * sizeof(double));
        if (!list->at) die("memory");
    }
    list->at[list->count++] = value;
}

static void hang_up(Call *call) {
    if (!call->closed) { call->closed = 1; close(call->fd); }
}

static void put(Call *call, const void *data, size_t size) {
    /* What does not fit into the kernel's buffer means a server that has not read for seconds: its call has failed. */
    if (!call->closed && write(call->fd, data, size) != (ssize_t)size) hang_up(call);
}

static void put_masked(Call *call, int opcode, const void *payload, size_t size) {
    unsigned char data[256] = {0x80 | opcode, 0x80 | size, MASK[0], MASK[1], MASK[2], MASK[3]};
    for (size_t each = 0; each < size && each < 125; each++) data[6 + each] = ((const unsigned char *)payload)[each] ^ MASK[each & 3];
    put(call, data, 6 + size);
}

static void put_frame(Call *call, double planned) {
    uint32_t number = htonl(call->sent++);
    for (int each = 0; each < 4; each++) message[HEAD + each] = ((unsigned char *)&number)[each] ^ MASK[each];
    double moment = now();
    put(call, message, sizeof message);
    add(&call->planned, planned);
    add(&call->left, moment);
    if (planned >= measured_from) add(&late, moment - planned);
}

static void open_next(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    while (opening < OPENING && next_to_open < call_count) {
        Call *call = &calls[next_to_open++];
        int one = 1;
        char request[PATH + 300];
        call->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (call->fd < 0 || connect(call->fd, (struct sockaddr *)&address, sizeof address)) die("connect");
        setsockopt(call->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", call->path, port);
        put(call, request, size);
        fcntl(call->fd, F_SETFL, O_NONBLOCK);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = call};
        epoll_ctl(poller, EPOLL_CTL_ADD, call->fd, &event);
        opening++;
    }
}

static void take_echo(Call *call, const unsigned char *frame, size_t size, double moment) {
    uint32_t number;
    memcpy(&number, frame, 4);
    number = ntohl(number);
    if (size != FRAME || number != call->echoed + call->wrong || number >= call->sent || memcmp(frame + 4, noise + 4, FRAME - 4)) {
        call->wrong++;
        return;
    }
    call->echoed++;
    if (!call->ready) {
        call->ready = 1, ready_calls++, opening--;
    } else if (call->planned.at[number] >= measured_from) {
        add(&added, moment - call->planned.at[number]);
        add(&since, moment - call->left.at[number]);
    }
}

static size_t take_message(Call *call, const unsigned char *data, size_t held, double moment) {
    size_t head = 2, size;
    if (held < 2) return 0;
    size = data[1] & 0x7f;
    if (size == 126) {
        if (held < 4) return 0;
        head = 4, size = data[2] << 8 | data[3];
    }
    if (size == 127) { hang_up(call); return 0; }
    if (held < head + size) return 0;
    int opcode = data[0] & 0x0f;
    if (opcode == 2) take_echo(call, data + head, size, moment);
    else if (opcode == 8) hang_up(call);
    else if (opcode == 9) put_masked(call, 10, data + head, size);
    return head + size;
}

static void shake(Call *call) {
    unsigned char *end = memmem(call->in, call->held, "\r\n\r\n", 4);
    if (!end) return;
    if (memcmp(call->in, "HTTP/1.1 101", 12)) {
        fprintf(stderr, "expected the handshake to be answered with 101, got %.40s\n", call->in);
        exit(1);
    }
    size_t used = end + 4 - call->in;
    memmove(call->in, call->in + used, call->held -= used);
    call->shaken = 1;
    put_masked(call, 1, FIRST, sizeof FIRST - 1);
    put_frame(call, now());
}

static void read_from(Call *call) {
    ssize_t size = read(call->fd, call->in + call->held, BUFFER - call->held);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) { hang_up(call); return; }
    double moment = now();
    call->held += size;
    if (!call->shaken) shake(call);
    size_t used = 0, each = 0;
    while (call->shaken && !call->closed && (each = take_message(call, call->in + used, call->held - used, moment))) used += each;
    if (used) memmove(call->in, call->in + used, call->held -= used);
}

static void wait_for_data(double seconds) {
    struct epoll_event found[256];
    struct timespec time = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
    int count = epoll_pwait2(poller, found, 256, &time, NULL);
    for (int each = 0; each < count; each++) read_from(found[each].data.ptr);
}

static void open_all(void) {
    double until = now() + OPEN_SECONDS;
    poller = epoll_create1(0);
    for (; ready_calls < (int)call_count; wait_for_data(0.1)) {
        open_next();
        for (size_t each = 0; each < next_to_open; each++)
            if (calls[each].closed) { fprintf(stderr, "call %zu was closed before its first echo\n", each); exit(1); }
        if (now() > until) { fprintf(stderr, "only %d of %zu calls were open after %g s\n", ready_calls, call_count, OPEN_SECONDS); exit(1); }
    }
}

static double cpu_of(int pid) {
    char name[64], line[1024], *rest;
    snprintf(name, sizeof name, "/proc/%d/stat", pid);
    FILE *file = fopen(name, "r");
    if (!file || !fgets(line, sizeof line, file)) return 0;
    fclose(file);
    unsigned long user, kernel;
    rest = strrchr(line, ')');
    sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel);
    return (double)(user + kernel) / sysconf(_SC_CLK_TCK);
}

static double core_of(int pid) {
    cpu_set_t set;
    char line[512], name[16];
    double busy = 0;
    if (sched_getaffinity(pid, sizeof set, &set)) return 0;
    for (int core = 0; core < CPU_SETSIZE; core++) if (CPU_ISSET(core, &set)) { snprintf(name, sizeof name, "cpu%d ", core); break; }
    FILE *file = fopen("/proc/stat", "r");
    while (file && fgets(line, sizeof line, file)) if (!strncmp(line, name, strlen(name))) {
        unsigned long t[8] = {0};
        sscanf(line, "%*s %lu %lu %lu %lu %lu %lu %lu %lu", t, t + 1, t + 2, t + 3, t + 4, t + 5, t + 6, t + 7);
        busy = (double)(t[0] + t[1] + t[2] + t[5] + t[6] + t[7]) / sysconf(_SC_CLK_TCK);
    }
    if (file) fclose(file);
    return busy;
}

static double own_cpu(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_utime.tv_usec / 1e6 + usage.ru_stime.tv_sec + usage.ru_stime.tv_usec / 1e6;
}

static int by_phase(const void *one, const void *other) {
    double a = ((const Call *)one)->phase, b = ((const Call *)other)->phase;
    return (a > b) - (a < b);
}
static int by_value(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}
static double percentile(List *list, double part) {
    if (!list->count) return 1e9;
    qsort(list->at, list->count, sizeof(double), by_value);
    size_t place = (size_t)ceil(part * list->count);
    return 1000 * list->at[place ? place - 1 : 0];
}

static void read_plan(int *pid, double *seconds, double *discard) {
    char line[PATH];
    if (scanf("%d %d %lf %lf %zu\n", &port, pid, seconds, discard, &call_count) != 5) { fprintf(stderr, "expected a plan\n"); exit(1); }
    calls = calloc(call_count, sizeof *calls);
    srandom(call_count);
    for (int each = 4; each < FRAME; each++) noise[each] = random();
    message[0] = 0x82, message[1] = 0xfe, message[2] = FRAME >> 8, message[3] = FRAME & 0xff;
    memcpy(message + 4, MASK, 4);
    for (int each = 0; each < FRAME; each++) message[HEAD + each] = noise[each] ^ MASK[each & 3];
    for (size_t each = 0; each < call_count; each++) {
        if (!fgets(line, sizeof line, stdin)) { fprintf(stderr, "expected %zu paths, got %zu\n", call_count, each); exit(1); }
        line[strcspn(line, "\n")] = 0;
        calls[each].path = strdup(line);
        calls[each].in = malloc(BUFFER);
        calls[each].phase = PERIOD * (random() / (double)RAND_MAX);
    }
    /* Every call has the same period, so the order of the first round is the order of all. */
    qsort(calls, call_count, sizeof *calls, by_phase);
}

static void talk(double start, double seconds, double begin_usage, int pid, double usage[3], double *span) {
    size_t total = call_count * (size_t)lround(seconds / PERIOD), next = 0;
    int measuring = 0;
    while (next < total) {
        double due = start + PERIOD * (next / call_count) + calls[next % call_count].phase, moment = now();
        if (!measuring && moment >= begin_usage) {
            measuring = 1, *span = moment;
            usage[0] = cpu_of(pid), usage[1] = core_of(pid), usage[2] = own_cpu();
        }
        if (due <= moment) {
            put_frame(&calls[next++ % call_count], due);
            if (next % 32) continue;
        }
        /* A frame may be a third of a millisecond late: waking for each alone would fill the core at 600 calls. */
        wait_for_data(due <= moment ? 0 : due - moment < 0.0003 ? 0.0003 : due - moment);
    }
    usage[0] = cpu_of(pid) - usage[0], usage[1] = core_of(pid) - usage[1], usage[2] = own_cpu() - usage[2];
    *span = now() - *span;
}

static void finish(size_t *frames, size_t *lost, size_t *wrong, size_t *closed) {
    double until = now() + GRACE;
    size_t missing = 1;
    while (missing && now() < until) {
        wait_for_data(0.02);
        missing = 0;
        for (size_t each = 0; each < call_count; each++) missing += calls[each].sent - calls[each].echoed - calls[each].wrong;
    }
    for (size_t each = 0; each < call_count; each++) {
        Call *call = &calls[each];
        *frames += call->sent, *lost += call->sent - call->echoed - call->wrong, *wrong += call->wrong, *closed += call->closed;
    }
}

static void close_all(void) {
    static const unsigned char normal[2] = {1000 >> 8, 1000 & 0xff};
    double until = now() + CLOSE_SECONDS;
    size_t open = 1;
    for (size_t each = 0; each < call_count; each++) put_masked(&calls[each], 8, normal, 2);
    while (open && now() < until) {
        wait_for_data(0.05);
        open = 0;
        for (size_t each = 0; each < call_count; each++) open += !calls[each].closed;
    }
}

int main(void) {
    int pid;
    double seconds, discard, usage[3] = {0}, span = 0;
    size_t frames = 0, lost = 0, wrong = 0, closed = 0;
    read_plan(&pid, &seconds, &discard);
    open_all();
    double start = now() + 0.1;
    measured_from = start + discard;
    talk(start, seconds, measured_from, pid, usage, &span);
    finish(&frames, &lost, &wrong, &closed);
    close_all();
    double others = (usage[1] - usage[0]) / span;
    printf("{\"calls\":%zu,\"frames\":%zu,\"lost\":%zu,\"wrong\":%zu,\"closed\":%zu,", call_count, frames, lost, wrong, closed);
    printf("\"added_p50\":%.2f,\"added_p99\":%.2f,\"added_max\":%.2f,\"since_sent_p99\":%.2f,\"lateness_p99\":%.2f,",
        percentile(&added, 0.5), percentile(&added, 0.99), percentile(&added, 1), percentile(&since, 0.99), percentile(&late, 0.99));
    printf("\"server_share\":%.3f,\"others_share\":%.3f,\"generator_share\":%.3f}\n", usage[0] / span, others > 0 ? others : 0, usage[2] / span);
    return 0;
}
