/*
 * Replays a folder of inputs through a fuzz target, so that every build runs the committed corpus
 * without libFuzzer. Usage: corpus_<layer>_<name> FOLDER
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_SIZE_MAX = 1 << 20 };

static int fuzz_main_one(const char *folder, const char *name)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return 1;
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        fprintf(stderr, "%s: cannot be opened\n", path);
        return 1;
    }
    uint8_t *buffer = malloc(INPUT_SIZE_MAX);
    size_t size = buffer == NULL ? 0 : fread(buffer, 1, INPUT_SIZE_MAX, f);
    fclose(f);
    if (buffer == NULL)
        return 1;
    /* An exact-size copy, so that the sanitizer sees a read one byte past the end. */
    uint8_t *exact = malloc(size == 0 ? 1 : size);
    if (exact == NULL) {
        free(buffer);
        return 1;
    }
    memcpy(exact, buffer, size);
    free(buffer);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    DIR *dir = opendir(argv[1]);
    if (dir == NULL) {
        fprintf(stderr, "%s: no such corpus\n", argv[1]);
        return 1;
    }
    int failed = 0;
    int count = 0;
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (e->d_name[0] == '.')
            continue;
        failed |= fuzz_main_one(argv[1], e->d_name);
        count++;
    }
    closedir(dir);
    printf("%d inputs replayed\n", count);
    if (count == 0)
        fprintf(stderr, "%s: the corpus is empty\n", argv[1]);
    return failed != 0 || count == 0;
}
