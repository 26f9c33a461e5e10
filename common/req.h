/*
 * The error of a tevent_req as an errno, for _recv functions.
 *
 * Samba has the same behind headers that are not for the public; a timeout
 * set by tevent_req_set_endtime() is ETIMEDOUT here as it is there.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#ifndef COMMON_REQ_H
#define COMMON_REQ_H

#include <errno.h>
#include <talloc.h>
#include <tevent.h>

/* 0 when the request is done, else errno. */
static inline int req_error(struct tevent_req *req)
{
	enum tevent_req_state state;
	uint64_t error = 0;

	if (!tevent_req_is_error(req, &state, &error)) {
		return 0;
	}
	switch (state) {
	case TEVENT_REQ_TIMED_OUT:
		return ETIMEDOUT;
	case TEVENT_REQ_NO_MEMORY:
		return ENOMEM;
	case TEVENT_REQ_USER_ERROR:
		return (int)error;
	default:
		return EINVAL;
	}
}

#endif
