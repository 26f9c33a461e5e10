/*
 * Schedules of any text: what is taken has times, in order, and its echo
 * means the same.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "cavad/schedule.h"
#include "tests/fuzz/fuzz.h"

#define NOW 1700000000

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	static const char *const texts[] = {
		"every Friday at 22:00", "every 2 weeks on Mon, Tue at 1 am",
		"the last Sunday of every month at 3:30", "every 6 hours",
		"every day every 30 minutes between 8:00 and 18:00",
		"yearly on the 2nd weekday of February at 12:15 pm",
		"every other month on the 31st", "yearly on February 29",
		"yearly on the 22nd weekday of February",
		NULL };

	return fuzz_seed_text(texts, i, data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	char *phrase = talloc_strndup(frame, (const char *)data, size);
	struct schedule s = { .interval = 0 };
	struct schedule again = { .interval = 0 };
	char error[512] = "";
	time_t times[3] = { 0 };
	unsigned int n = 0;

	if (schedule_parse(phrase, &s, error, sizeof(error)) != 0) {
		if (error[0] == '\0') {
			abort();
		}
		talloc_free(frame);
		return 0;
	}
	n = schedule_next(&s, NOW, times, 3);
	if (n != 3 || times[0] <= NOW || times[1] <= times[0] ||
	    times[2] <= times[1] ||
	    schedule_parse(s.text, &again, error, sizeof(error)) != 0 ||
	    strcmp(again.text, s.text) != 0 ||
	    strcmp(again.rule, s.rule) != 0 || again.unit != s.unit ||
	    again.interval != s.interval || again.step != s.step ||
	    again.from != s.from || again.to != s.to) {
		abort();
	}
	talloc_free(frame);
	return 0;
}
