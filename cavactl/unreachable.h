/*
 * Why cavad cannot be reached, and what to do.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef CAVACTL_UNREACHABLE_H
#define CAVACTL_UNREACHABLE_H

/* why: what the library had to say of it. */
void unreachable_explain(const char *socket_path, const char *why);

/* cavad has refused who asks: who that is. */
void unreachable_stranger(void);

#endif
