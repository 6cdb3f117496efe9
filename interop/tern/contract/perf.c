#include <stdio.h>
#include <stdlib.h>

#include "interop/tern/contract/contract.h"
#include "interop/tern/contract/meeting.h"
#include "interop/tern/contract/samples.h"

enum { PERF_QUIET_MS = 60000 };

/* One of the three measurements. */
struct perf_part {
    const char *name, *unit;
    uint64_t upload_bytes, download_bytes;
    uint32_t iterations;
    bool latency;
};

static void perf_once(struct contract *contract, const struct perf_part *part,
                      struct tern_perf_info *info)
{
    const struct settings *settings = contract->settings;
    bool limited = !settings->header16 && !part->latency;
    const struct tern_perf_options options = {
        .size = sizeof options,
        .peer = contract->peer,
        .upload_bytes = part->upload_bytes,
        .download_bytes = part->download_bytes,
        .timeout_ms = PERF_QUIET_MS,
        .duration_ms = limited ? (int)settings->duration_s * 1000 : 0,
        .serving = settings->header16 ? TERN_PERF_SERVING_HEADER16 : TERN_PERF_SERVING_STANDARD,
    };
    struct tern_event event;
    uint64_t token;
    contract_check(tern_host_perf(contract->host, &options, &token), part->name);
    contract_wait(contract, CONTRACT_KIND(TERN_EVENT_PERF), token, &event);
    contract_check(event.err, part->name);
    *info = *event.perf;
}

static void perf_measure(struct contract *contract, const struct perf_part *part,
                         struct samples *samples)
{
    samples->count = 0;
    for (uint32_t i = 0; i < part->iterations; i++) {
        struct tern_perf_info info;
        perf_once(contract, part, &info);
        double moved_bits = 8 * (double)(info.uploaded_bytes + info.downloaded_bytes);
        double took_ns = (double)info.ended_ns;
        samples_add(samples, part->latency ? took_ns / 1e6 : moved_bits / took_ns);
    }
}

void contract_run_perf_dialer(const struct settings *settings)
{
    const struct perf_part parts[] = {
        {"upload", "Gbps", settings->upload_bytes, 0, settings->upload_iterations, false},
        {"download", "Gbps", 0, settings->download_bytes, settings->download_iterations, false},
        {"latency", "ms", 1, 1, settings->latency_iterations, true},
    };
    struct contract contract;
    char address[TERN_ADDRESS_TEXT_SIZE];
    struct samples *samples = calloc(1, sizeof *samples);
    if (samples == NULL)
        contract_fail("no memory");
    contract_init(&contract, settings, NULL, 0);
    meeting_wait(settings, contract.deadline_ns, address);
    fprintf(stderr, "tern-contract: dialing %s\n", address);
    contract_dial(&contract, address);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        perf_measure(&contract, &parts[i], samples);
        samples_write(samples, parts[i].name, parts[i].unit, stdout);
    }
    contract_fini(&contract);
    free(samples);
}
