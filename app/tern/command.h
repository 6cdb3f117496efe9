/*
 * tern's commands: what the command line said, and what every command needs.
 */
#ifndef TERN_APP_TERN_COMMAND_H
#define TERN_APP_TERN_COMMAND_H

#include "app/common/client.h"
#include "app/common/json.h"
#include "app/common/table.h"

/* Exit codes: a promise to scripts. */
enum {
    CODE_OK = 0,
    CODE_NO = 1,           /* it was asked and the answer is no: not valid, refused, unanswered */
    CODE_USAGE = 64,       /* the command line is wrong */
    CODE_DATA = 65,        /* what was given is not well formed */
    CODE_INPUT = 66,       /* a file cannot be read */
    CODE_UNAVAILABLE = 69, /* no node answers, or a peer cannot be reached */
    CODE_INTERNAL = 70,
    CODE_IO = 74,    /* a file cannot be written */
    CODE_AGAIN = 75, /* busy or not ready: later it may work */
    CODE_KEY = 77,   /* a key file that others can read */
    CODE_TIMEOUT = 124,
};

enum { COMMAND_ARGUMENTS_MAX = 8 };

struct command_options {
    const char *api;      /* --api URL */
    const char *data_dir; /* --data-dir */
    bool json;
    uint64_t timeout_s;
    bool timeout_given;
    uint64_t count;        /* ping */
    uint64_t interval_ms;  /* ping */
    bool explain;          /* dial */
    const char *transport; /* the ways to connect, of the commands that are a peer; NULL: all */
    const char *secure;
    const char *muxer;
    const char *psk;    /* the file of a private network's key; NULL: the public network */
    const char *upload; /* perf: what was said, and what that is */
    const char *download;
    uint64_t upload_bytes;
    uint64_t download_bytes;
    uint64_t duration_ms; /* 0: by bytes */
    uint64_t iterations;  /* 0: not said */
    bool header16;
    const char *serve;
    const char *peer;
    const char *key;
    const char *to;
    const char *amount;
    const char *fee;
    const char *nonce;
    const char *hour;
    const char *energy;
    const char *price;
    const char *expires;
    const char *order;
    bool dry_run;
    const char *arguments[COMMAND_ARGUMENTS_MAX];
    size_t arguments_count;
};

typedef int command(const struct command_options *options);

command command_status, command_peers, command_ping, command_dial, command_identify, command_perf,
    command_chain_head, command_chain_block, command_chain_validate, command_tx_send,
    command_account, command_market, command_audit, command_key_new, command_key_show,
    command_genesis_show;

/* command_fail prints a message and returns the code. */
int command_fail(int code, const char *format, ...) TERN_PRINTF(2, 3);

/* command_ask asks the node: GET, or POST when post (body may be NULL). Returns CODE_OK with an
 * answer to be freed, or the code to end with after the message is out. */
struct command_question {
    const char *path;
    bool post;
    const json_t *body;
    uint64_t timeout_s; /* 0: as in the options */
};
int command_ask(const struct command_options *options, const struct command_question *question,
                struct app_answer *answer);

/* command_api finds the API's URL: --api, --data-dir, $TERN_API, else http://127.0.0.1:7780. */
bool command_api(const struct command_options *options, char url[APP_URL_MAX],
                 struct app_message *message);

/* command_print_json writes the answer as it came, for --json. */
int command_print_json(const json_t *json);

/* Reading members of an answer that may lack them. */
uint64_t command_u64(const json_t *object, const char *name);
const char *command_text(const json_t *object, const char *name);

#endif
