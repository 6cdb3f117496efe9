/*
 * JSON of the chain's things, over jansson: transactions, blocks, the genesis file. The names of
 * the members are those of the HTTP API.
 *
 * Numbers are integers of at most 63 bits; keys, hashes and signatures are lower-case hexadecimal
 * text.
 */
#ifndef TERN_APP_COMMON_JSON_H
#define TERN_APP_COMMON_JSON_H

#include <jansson.h>

#include "app/common/text.h"
#include "chain/block.h"
#include "chain/genesis.h"
#include "chain/tx.h"

/* app_json_hash is a hash, key or signature as a JSON string. */
json_t *app_json_hex(const void *bytes, size_t size);

/* app_json_u64 is a number; one beyond 63 bits becomes the largest. */
json_t *app_json_u64(uint64_t value);

/* Reading members: false with a message that names the member when it is not there or not of that
 * form. */
bool app_json_get_u64(const json_t *object, const char *name, uint64_t max, uint64_t *value,
                      struct app_message *message);
bool app_json_get_hex(const json_t *object, const char *name, struct tern_span bytes,
                      struct app_message *message);

/* app_json_only tells whether an object has members of these names alone (NULL ends the list). */
bool app_json_only(const json_t *object, const char *const *names, struct app_message *message);

/* app_json_of_tx renders a transaction with its id. */
json_t *app_json_of_tx(const struct tern_tx *tx, const struct tern_hash *id);

/* app_json_to_tx reads what app_json_of_tx writes; "id" is not looked at. With_signature: it must
 * have one. */
bool app_json_to_tx(const json_t *object, bool with_signature, struct tern_tx *tx,
                    struct app_message *message);

/* app_json_of_block renders a block; with its transactions, or with their number alone. */
enum app_block_form { APP_BLOCK_HEADER, APP_BLOCK_WHOLE, APP_BLOCK_HEX };
json_t *app_json_of_block(const struct tern_block *block, enum app_block_form form);

/* A genesis that was read from a file; owns the arrays. */
struct app_genesis {
    struct tern_genesis genesis;
    struct tern_hash hash;
    char name[TERN_GENESIS_NAME_MAX + 1];
    struct tern_account *authorities;
};

/* app_genesis_load reads and checks the file; messages name file, line or member. */
bool app_genesis_load(const char *path, struct app_genesis *genesis, struct app_message *message);
void app_genesis_free(struct app_genesis *genesis);

/* app_genesis_save writes it; the struct passes tern_genesis_check. */
bool app_genesis_save(const char *path, const struct tern_genesis *genesis,
                      struct app_message *message);

/* app_tx_kind finds a kind by its name; 0: there is none. */
unsigned app_tx_kind(const char *name);

#endif
