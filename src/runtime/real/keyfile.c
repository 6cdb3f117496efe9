#include "runtime/real/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "crypto/secret.h"

tern_err tern_private_key_make(enum tern_key_type type, struct tern_random *random,
                               struct tern_private_key *key)
{
    return type == TERN_KEY_RSA ? tern_private_key_generate_rsa(TERN_RSA_BITS_MIN, key)
                                : tern_private_key_generate(type, random, key);
}

static tern_err keyfile_say(const struct tern_keyfile_options *options, tern_err err,
                            const char *what, char *message, size_t message_size)
{
    if (message != NULL)
        snprintf(message, message_size, "the key file %s %s", options->path, what);
    return err;
}

/* Reads the file whole, if nobody else can. */
static tern_err keyfile_read_fd(const struct tern_keyfile_options *options, int fd,
                                struct tern_writer *out, char *message, size_t message_size)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return keyfile_say(options, TERN_ERR_IO, strerror(errno), message, message_size);
    if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return keyfile_say(options, TERN_ERR_GATED,
                           "can be read by others; run: chmod 600 on it, and if others had access "
                           "take a new one",
                           message, message_size);
    size_t room = tern_writer_left(out);
    if (info.st_size > (off_t)room)
        return keyfile_say(options, TERN_ERR_TOO_LARGE, "is too large to be one", message,
                           message_size);
    ssize_t size = read(fd, out->data + out->size, room);
    if (size < 0)
        return keyfile_say(options, TERN_ERR_IO, strerror(errno), message, message_size);
    TERN_CHECK(tern_writer_reserve(out, (size_t)size) != NULL || size == 0);
    return TERN_OK;
}

static tern_err keyfile_read(const struct tern_keyfile_options *options, int fd,
                             struct tern_private_key *key, char *message, size_t message_size)
{
    uint8_t bytes[TERN_PRIVATE_KEY_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_err err = keyfile_read_fd(options, fd, &w, message, message_size);
    if (err != TERN_OK && err != TERN_ERR_TOO_LARGE)
        return err;
    if (err == TERN_OK)
        err = tern_private_key_decode(tern_writer_view(&w), key);
    tern_secret_wipe(bytes, sizeof bytes);
    if (err != TERN_OK)
        return keyfile_say(options, TERN_ERR_BAD_KEY,
                           "holds no private key (a protobuf PrivateKey message is expected)",
                           message, message_size);
    return TERN_OK;
}

tern_err tern_keyfile_read(const char *path, struct tern_writer *out, char *message,
                           size_t message_size)
{
    const struct tern_keyfile_options options = {.path = path};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return keyfile_say(&options, TERN_ERR_IO, strerror(errno), message, message_size);
    tern_err err = keyfile_read_fd(&options, fd, out, message, message_size);
    close(fd);
    return err;
}

static bool keyfile_write_all(int fd, const uint8_t *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = write(fd, bytes + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return fsync(fd) == 0;
}

/* Writes beside the file and renames, so that a crash leaves the whole key or none. */
static tern_err keyfile_write(const struct tern_keyfile_options *options,
                              const struct tern_private_key *key, char *message,
                              size_t message_size)
{
    char path[4096];
    uint8_t bytes[TERN_PRIVATE_KEY_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    if (snprintf(path, sizeof path, "%s.new.%ld", options->path, (long)getpid()) >=
        (int)sizeof path)
        return keyfile_say(options, TERN_ERR_IO, "has too long a path", message, message_size);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return keyfile_say(options, TERN_ERR_IO, strerror(errno), message, message_size);
    tern_private_key_encode(key, &w);
    bool fine = tern_writer_ok(&w) && keyfile_write_all(fd, bytes, w.size);
    tern_secret_wipe(bytes, sizeof bytes);
    fine = close(fd) == 0 && fine;
    if (fine && rename(path, options->path) == 0)
        return TERN_OK;
    unlink(path);
    return keyfile_say(options, TERN_ERR_IO, "cannot be written", message, message_size);
}

tern_err tern_keyfile_load(const struct tern_keyfile_options *options, struct tern_private_key *key,
                           char *message, size_t message_size)
{
    int fd = open(options->path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        tern_err err = keyfile_read(options, fd, key, message, message_size);
        close(fd);
        return err;
    }
    if (errno != ENOENT)
        return keyfile_say(options, TERN_ERR_IO, strerror(errno), message, message_size);
    tern_err err = tern_private_key_make(options->type, options->random, key);
    if (err == TERN_OK) {
        err = keyfile_write(options, key, message, message_size);
        if (err != TERN_OK)
            tern_private_key_fini(key);
    }
    return err;
}
