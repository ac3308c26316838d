/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/stamp.h"

#include <stdio.h>

/* The Gregorian calendar counted from 1 March of year 0, so that a leap day ends its year. */
void stamp_utc(char ret[static STAMP_MAX], const struct timespec *ts)
{
	long long days = ts->tv_sec / 86400 - (ts->tv_sec % 86400 < 0) + 719468;
	int second = (int)(ts->tv_sec - (days - 719468) * 86400);
	long long era = (days >= 0 ? days : days - 146096) / 146097;
	int day = (int)(days - era * 146097); /* of 400 years */
	int year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	int month; /* from March */

	day -= 365 * year + year / 4 - year / 100;
	month = (5 * day + 2) / 153;
	day -= (153 * month + 2) / 5;
	snprintf(ret, STAMP_MAX, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ",
		 year + era * 400 + (month >= 10), month < 10 ? month + 3 : month - 9, day + 1,
		 second / 3600, second / 60 % 60, second % 60, (int)(ts->tv_nsec / 1000000));
}
