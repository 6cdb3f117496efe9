#include "swarm/meter.h"

static const double meter_windows_s[TERN_RATE_WINDOWS] = {
    [TERN_RATE_1S] = 1,
    [TERN_RATE_10S] = 10,
    [TERN_RATE_60S] = 60,
};

enum { METER_HALVINGS_MAX = 16 };

/* meter_decay is e^-x, x not negative: the series of a small part of x, squared as often as it was
 * halved. Exact to nine digits, and the same on every machine. */
static double meter_decay(double x)
{
    int halvings = 0;
    if (x > 64)
        return 0;
    for (; x > 1.0 / 64 && halvings < METER_HALVINGS_MAX; halvings++)
        x /= 2;
    double y = 1 - x * (1 - x / 2 * (1 - x / 3 * (1 - x / 4)));
    for (; halvings > 0; halvings--)
        y *= y;
    return y;
}

/* meter_pass lets time pass in which so much came, evenly. */
static void meter_pass(struct swarm_meter *meter, tern_time span,
                       const uint32_t bytes[TERN_DIRECTIONS])
{
    double seconds = (double)span / (double)TERN_SECOND;
    for (int window = 0; window < TERN_RATE_WINDOWS; window++) {
        double kept = meter_decay(seconds / meter_windows_s[window]);
        for (int direction = 0; direction < TERN_DIRECTIONS; direction++) {
            float *rate = &meter->rates[direction][window];
            double fresh = (double)bytes[direction] / seconds;
            *rate = (float)((double)*rate * kept + fresh * (1 - kept));
        }
    }
}

void tern_meter_fold(struct swarm_meter *meter, tern_time now)
{
    static const uint32_t nothing[TERN_DIRECTIONS] = {0};
    tern_time span = tern_time_since(now, meter->at);
    if (span == 0)
        return;
    /* What is pending came within one step; behind it was silence. */
    meter_pass(meter, tern_time_min(span, SWARM_METER_STEP_NS), meter->pending);
    if (span > SWARM_METER_STEP_NS)
        meter_pass(meter, span - SWARM_METER_STEP_NS, nothing);
    meter->at = now;
    meter->pending[TERN_IN] = 0;
    meter->pending[TERN_OUT] = 0;
}

void tern_meter_read(const struct swarm_meter *meter, tern_time now, struct tern_traffic *traffic)
{
    struct swarm_meter folded = *meter;
    tern_meter_fold(&folded, now);
    for (int direction = 0; direction < TERN_DIRECTIONS; direction++) {
        traffic->bytes[direction] = folded.bytes[direction];
        for (int window = 0; window < TERN_RATE_WINDOWS; window++)
            traffic->rates[direction][window] = (uint64_t)(folded.rates[direction][window] + 0.5F);
    }
}
