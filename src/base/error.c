#include "base/error.h"

#include "base/check.h"

static const struct error_info {
    const char *name;
    const char *text;
    enum tern_err_class class;
} error_infos[TERN_ERR_COUNT] = {
    [TERN_OK] = {"OK", "no error", TERN_CLASS_OK},
#define X(name, class, text) [TERN_ERR_##name] = {#name, text, TERN_CLASS_##class},
#include "tern/errors.def"
#undef X
};

static const struct error_info *error_info(tern_err err)
{
    TERN_CHECK((unsigned)err < TERN_ERR_COUNT);
    return &error_infos[err];
}

const char *tern_err_name(tern_err err)
{
    return error_info(err)->name;
}

const char *tern_err_text(tern_err err)
{
    return error_info(err)->text;
}

enum tern_err_class tern_err_class(tern_err err)
{
    return error_info(err)->class;
}
