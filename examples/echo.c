/* `echo` listens and prints its address; `echo ADDRESS TEXT` asks it to send TEXT back. */
#include <stdio.h>
#include <string.h>
#include <tern/tern.h>

#define PROTOCOL "/example/echo/1.0.0"

int main(int argc, char **argv)
{
    struct tern_host_options options;
    struct tern_host *host;
    struct tern_event e;
    char bytes[4096] = "cannot start";
    size_t n;
    tern_host_options_init(&options);
    tern_err err = tern_host_new(&options, &host, bytes, sizeof bytes);
    if (err == TERN_OK)
        err = tern_host_handle(host, PROTOCOL);
    if (err == TERN_OK)
        err = argc < 3 ? tern_host_listen(host, "/ip4/127.0.0.1/tcp/0")
                       : tern_host_dial(host, argv[1], NULL);
    while (err == TERN_OK && (err = tern_host_next_event(host, &e, 10000)) == TERN_OK) {
        if (e.kind == TERN_EVENT_LISTENING) {
            err = tern_host_address(host, 0, bytes, sizeof bytes);
            puts(bytes), fflush(stdout);
        } else if (e.kind == TERN_EVENT_DIALED) {
            err = tern_stream_open(host, e.peer, PROTOCOL, &e.stream);
            if (err == TERN_OK)
                err = tern_stream_write(host, e.stream, argv[2], strlen(argv[2]), &n);
        } else if (e.kind == TERN_EVENT_STREAM_READABLE && argc < 3) {
            while (tern_stream_read(host, e.stream, bytes, sizeof bytes, &n) == TERN_OK)
                err = tern_stream_write(host, e.stream, bytes, n, &n);
        } else if (e.kind == TERN_EVENT_STREAM_READABLE) {
            err = tern_stream_read(host, e.stream, bytes, sizeof bytes, &n);
            return printf("%.*s\n", (int)n, bytes), 0;
        }
    }
    return fprintf(stderr, "%s (%s)\n", tern_err_text(err), bytes), 1;
}
