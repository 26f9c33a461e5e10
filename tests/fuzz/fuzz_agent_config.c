/* includes: common/access.c cee_agent/clamd_conf.c cee_agent/config.c
 * cee_agent/config_check.c cee_agent/config_value.c cee_agent/secret.c
 *
 * cee_agent.conf: any bytes are read or refused with a message.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/access.c"
#include "cee_agent/clamd_conf.c"
#include "cee_agent/config.c"
#include "cee_agent/config_check.c"
#include "cee_agent/config_value.c"
#include "cee_agent/secret.c"
#include "tests/fuzz/fuzz.h"

/* A storage that loads needs a password, in a file of ours. */
static const char *password(void)
{
	static char path[64];
	int fd = -1;

	if (path[0] == '\0') {
		fd = memfd_create("password", MFD_CLOEXEC);
		if (fd == -1 || write(fd, "secret\n", 7) != 7 ||
		    fchmod(fd, 0600) != 0) {
			abort();
		}
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	return path;
}

size_t fuzz_seed(unsigned int i, uint8_t data[FUZZ_MAX])
{
	static const char *const texts[] = {
		"[agent]\nlisten = [::1]:12228\nallow = 10.0.0.0/8, ::1\n"
		"clamd = tcp 127.0.0.1:3310\nmax_size = 25M\nworkers = 8\n"
		"timeout = 60\nversion = 8.9\nuser = root\n"
		"[storage nas]\nhost = nas\nport = 445\nshare = CHECK$\n"
		"domain = D\nuser = u\n",
		"[agent]\nlisten =\nhttps_listen = 127.0.0.1:1\n"
		"https_certificate = /dev/null\nstatus_allow = ::/0\n"
		"clamd = /a\nclamd = /b\nclamd_conf = /dev/null\n"
		"[storage k]\nhost = a b, c\nuser = u@R\nlogin = kerberos\n"
		"encryption = required\nmax_scans = 3\n",
		"; a comment\n[storage a]\nhost = a\nuser = u\n"
		"[storage b]\nhost = b\nuser = u\n",
		"[agent]\nworkers = 3\n[storage a]\nhost = a\nuser = u\n",
		NULL };
	size_t len = fuzz_seed_text(texts, i, data);

	if (len != 0) {
		len += (size_t)snprintf((char *)data + len, 80,
					"password_file = %s\n", password());
	}
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	TALLOC_CTX *frame = talloc_new(NULL);
	struct agent_config *c = NULL;
	char *error = NULL;
	char path[64];
	ssize_t written;
	int fd, ret;

	fd = memfd_create("cee_agent.conf", MFD_CLOEXEC);
	written = write(fd, data, size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = agent_config_load(frame, path, false, &c, &error);
	if (written != (ssize_t)size || (ret == 0) != (c != NULL) ||
	    (ret != 0 && error == NULL)) {
		abort();
	}
	if (c != NULL && (c->num_storages == 0 || c->allow == NULL ||
			  c->status_allow == NULL || c->clamd.num == 0 ||
			  (c->storages[0].password != NULL) +
			  (c->storages[0].keytab != NULL) +
			  (c->storages[0].ccache != NULL) != 1 ||
			  c->workers < 1 ||
			  c->workers > AGENT_WORKERS_MAX)) {
		abort();
	}
	close(fd);
	talloc_free(frame);
	return 0;
}
