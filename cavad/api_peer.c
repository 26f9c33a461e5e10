/*
 * Who is at the other end: see api_peer.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavad/api_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Is the process at the other end in the group? */
static bool api_peer_in_group(gid_t group, int fd)
{
	gid_t *groups = NULL;
	socklen_t len = 0;
	bool found = false;
	size_t i = 0;
	int ret = 0;

	/* says how much it takes */
	ret = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len);
	if (ret == 0 || errno != ERANGE) {
		return false;
	}
	groups = talloc_size(NULL, len);
	if (groups == NULL) {
		return false;
	}
	ret = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len);
	for (i = 0; ret == 0 && i < len / sizeof(gid_t); i++) {
		found = found || groups[i] == group;
	}
	talloc_free(groups);
	return found;
}

/* The name of a local account; accounts of a domain are numbers. */
static char *api_peer_name(TALLOC_CTX *mem_ctx, uid_t uid)
{
	FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *pw = NULL;
	char *name = NULL;

	while (f != NULL && name == NULL && (pw = fgetpwent(f)) != NULL) {
		if (pw->pw_uid == uid) {
			name = talloc_strdup(mem_ctx, pw->pw_name);
		}
	}
	if (f != NULL) {
		fclose(f);
	}
	return name != NULL ? name : talloc_asprintf(mem_ctx, "uid %u",
						     (unsigned int)uid);
}

static enum api_role api_peer_role(const struct api_peer_rule *rule,
				   const struct ucred *cred, int fd)
{
	if (cred->uid == 0) {
		return API_ROLE_ALL;
	}
	if (rule->have_group && (cred->gid == rule->group ||
				 api_peer_in_group(rule->group, fd))) {
		return API_ROLE_ALL;
	}
	return rule->all_read ? API_ROLE_READ : API_ROLE_NONE;
}

struct api_peer *api_peer_unix(TALLOC_CTX *mem_ctx,
			       const struct api_peer_rule *rule, int fd)
{
	struct api_peer *peer = talloc_zero(mem_ctx, struct api_peer);
	struct ucred cred = { .pid = 0 };
	socklen_t len = sizeof(cred);
	int ret = 0;

	if (peer == NULL) {
		return NULL;
	}
	peer->fd = fd;
	peer->user = "";
	ret = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	if (ret != 0) {
		return peer;
	}
	peer->role = api_peer_role(rule, &cred, fd);
	if (peer->role != API_ROLE_NONE) {
		peer->user = api_peer_name(peer, cred.uid);
	}
	if (peer->user == NULL) {
		talloc_free(peer);
		return NULL;
	}
	return peer;
}

struct api_peer *api_peer_tcp(TALLOC_CTX *mem_ctx, int fd)
{
	struct api_peer *peer = talloc_zero(mem_ctx, struct api_peer);
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(sa);
	const struct sockaddr_in *in = (const struct sockaddr_in *)&sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&sa;
	int ret = 0;

	if (peer == NULL) {
		return NULL;
	}
	peer->fd = fd;
	peer->tcp = true;
	peer->user = "";
	ret = getpeername(fd, (struct sockaddr *)&sa, &len);
	if (ret == 0 && sa.ss_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, peer->from,
			  sizeof(peer->from));
		strcpy(peer->net, peer->from);
	}
	if (ret == 0 && sa.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &in6->sin6_addr, peer->from,
			  sizeof(peer->from));
		memset(in6->sin6_addr.s6_addr + 8, 0, 8);
		inet_ntop(AF_INET6, &in6->sin6_addr, peer->net,
			  sizeof(peer->net));
	}
	return peer;
}
