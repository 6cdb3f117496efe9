/*
 * ternd's configuration: defaults, then the file (YAML), then the command line; the last one wins.
 * A list given by flags takes the place of the file's.
 *
 * Paths in the file are relative to the file's folder, those on the command line to the working
 * folder. An error names file, line and member, or the flag.
 */
#ifndef TERN_APP_TERND_CONFIG_H
#define TERN_APP_TERND_CONFIG_H

#include "app/common/text.h"
#include "swarm/swarm.h"
#include "wire/multiaddr.h"

enum { CONFIG_LIST_MAX = 64 };

enum config_log_level { CONFIG_LOG_ERROR, CONFIG_LOG_WARN, CONFIG_LOG_INFO, CONFIG_LOG_DEBUG };
enum config_log_format { CONFIG_LOG_TEXT, CONFIG_LOG_JSON };

struct config_list {
    char *items[CONFIG_LIST_MAX]; /* owned */
    size_t count;
};

struct config {
    char *data_dir;
    char *genesis;
    char *key_file; /* NULL: "key" in the data folder */
    bool propose;   /* make blocks when the key is an authority's */
    struct config_list listen;
    struct config_list bootstrap;
    struct config_list transports; /* ways to connect, by name (host/ways.h); empty: all */
    struct config_list secure;
    struct config_list muxers;
    char *private_network_key; /* a file; NULL: the public network */
    char *web_certificate;     /* PEM files of secure WebSocket; NULL: it is not listened at … */
    char *web_key;
    char *web_trust; /* … and the system's authorities are trusted */
    bool perf;       /* let others measure */
    enum tern_swarm_profile profile;
    uint64_t peers_want;
    uint64_t store_size_mib;
    enum config_log_level log_level;
    enum config_log_format log_format;
    bool api_enabled;
    char *api_address;            /* "127.0.0.1:7780"; port 0 takes a free one */
    struct config_list api_hosts; /* names by which the API may be asked, besides loopback's */
    uint64_t api_body_max_kib;
    uint64_t api_connections_max;
    uint64_t api_timeout_s;
};

/* What the command line asks for besides. */
enum config_action {
    CONFIG_RUN,
    CONFIG_PRINT,
    CONFIG_CHECK,
    CONFIG_LIMITS,
    CONFIG_HELP,
    CONFIG_VERSION,
};

void config_init(struct config *config);
void config_free(struct config *config);

/* config_load reads a file over what config holds. */
bool config_load(struct config *config, const char *path, struct app_message *message);

/* config_parse reads the command line and the file it names: all of the above. */
bool config_parse(struct config *config, int argc, char **argv, enum config_action *action,
                  struct app_message *message);

/* config_check judges the whole: what contradicts itself, is missing or out of range. path is the
 * file that was read, or NULL: for naming lines. */
bool config_check(const struct config *config, const char *path, struct app_message *message);

/* config_print writes it as a file that config_load reads back, to the standard output. */
void config_print(const struct config *config);

/* config_print_limits explains each limit that follows from the configuration. */
void config_print_limits(const struct config *config);

/* config_print_help writes the usage. */
void config_print_help(void);

const char *config_profile_name(enum tern_swarm_profile profile);
const char *config_level_name(enum config_log_level level);

/* config_list_add appends to a list. False: too many. */
bool config_list_add(struct config_list *list, const char *item);
void config_list_clear(struct config_list *list);

/* config_list_text writes the items with commas between them; NULL when there are none, and cut
 * when there are more than fit. */
enum { CONFIG_LIST_TEXT_MAX = 512 };
const char *config_list_text(const struct config_list *list, char text[CONFIG_LIST_TEXT_MAX]);

/* config_line finds the line of a member in a YAML file, such as "network.listen"; 0: it is not
 * there. */
unsigned config_line(const char *path, const char *member);

/* config_split_address takes "127.0.0.1:7780" or "[::1]:7780" apart. */
bool config_split_address(const char *address, char host[64], uint16_t *port);

#endif
