/* Echo over a stream. `echo` listens and prints its address; `echo ADDRESS TEXT` asks it. */
#include <stdio.h>
#include <string.h>
#include <tern/tern.h>

int main(int argc, char **argv)
{
    struct tern_host_options options;
    struct tern_host *host;
    struct tern_event event;
    char bytes[4096], why[256];
    size_t n;
    tern_host_options_init(&options);
    if (tern_host_new(&options, &host, why, sizeof why) != TERN_OK)
        return fprintf(stderr, "%s\n", why), 1;
    tern_err err = tern_host_handle(host, "/example/echo/1.0.0");
    if (err == TERN_OK)
        err = argc < 3 ? tern_host_listen(host, "/ip4/127.0.0.1/tcp/0") : tern_host_dial(host, argv[1], NULL);
    while (err == TERN_OK && tern_host_next_event(host, &event, 10000) == TERN_OK) {
        if (event.kind == TERN_EVENT_LISTENING && tern_host_address(host, 0, bytes, sizeof bytes) == TERN_OK)
            printf("%s\n", bytes), fflush(stdout);
        if (event.kind == TERN_EVENT_DIAL_FAILED)
            err = event.err;
        if (event.kind == TERN_EVENT_DIALED) {
            err = tern_stream_open(host, event.peer, "/example/echo/1.0.0", &event.stream);
            if (err == TERN_OK)
                err = tern_stream_write(host, event.stream, argv[2], strlen(argv[2]), &n);
        }
        if (event.kind == TERN_EVENT_STREAM_READABLE && tern_stream_read(host, event.stream, bytes, sizeof bytes, &n) == TERN_OK) {
            if (argc >= 3)
                return printf("%.*s\n", (int)n, bytes), tern_host_free(host), 0;
            err = tern_stream_write(host, event.stream, bytes, n, &n);
        }
    }
    fprintf(stderr, "%s\n", err == TERN_OK ? "nothing happened for ten seconds" : tern_err_text(err));
    return tern_host_free(host), 1;
}
