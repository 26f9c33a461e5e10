/*
 * Why cavad cannot be reached: see unreachable.h.
 *
 * The socket is tried once more, by hand, for its errno; then systemd is
 * asked about the unit.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "cavactl/unreachable.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "cavactl/output.h"

#define UNIT_PATH "/org/freedesktop/systemd1/unit/cavad_2eservice"

static int unreachable_errno(const char *socket_path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = -1;
	int ret = 0;

	if (strlen(socket_path) >= sizeof(address.sun_path)) {
		return ENAMETOOLONG;
	}
	strcpy(address.sun_path, socket_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1) {
		return errno;
	}
	if (connect(fd, (struct sockaddr *)&address,
		    sizeof(address)) != 0) {
		ret = errno;
	}
	close(fd);
	return ret;
}

/* A property of the unit, the caller's to free(); NULL: not to be had. */
static char *unreachable_unit(sd_bus *bus, const char *name)
{
	char *text = NULL;
	int ret = sd_bus_get_property_string(
		bus, "org.freedesktop.systemd1", UNIT_PATH,
		"org.freedesktop.systemd1.Unit", name, NULL, &text);

	return ret < 0 ? NULL : text;
}

static const char *unreachable_advice(const char *load, const char *active)
{
	if (load == NULL || active == NULL) {
		return "Is it running? systemctl status cavad; systemctl "
		       "start cavad";
	}
	if (strcmp(load, "not-found") == 0) {
		return "systemd has no unit cavad.service. Is it installed "
		       "(systemctl daemon-reload), or\nrunning by hand with "
		       "another api_socket (--socket)?";
	}
	if (strcmp(active, "failed") == 0) {
		return "The unit has failed. Why: journalctl -u cavad -n 20; "
		       "cavad --check-config.\nThen: systemctl start cavad";
	}
	if (strcmp(active, "active") == 0) {
		return "The unit is running (systemctl status cavad): is its "
		       "api_socket another one?\nSee cavad.conf, and "
		       "--socket.";
	}
	if (strcmp(active, "activating") == 0) {
		return "The unit is just starting; if that lasts: journalctl "
		       "-u cavad -n 20; systemctl\nstatus cavad";
	}
	return "The unit is not running: systemctl start cavad (and enable "
	       "it, for the next boot)";
}

static void unreachable_say_unit(void)
{
	sd_bus *bus = NULL;
	char *load = NULL;
	char *active = NULL;

	if (sd_bus_open_system(&bus) >= 0) {
		load = unreachable_unit(bus, "LoadState");
		active = unreachable_unit(bus, "ActiveState");
	}
	fprintf(stderr, "%s\n", unreachable_advice(load, active));
	free(load);
	free(active);
	sd_bus_unref(bus);
}

void unreachable_explain(const char *socket_path, const char *why)
{
	int error = unreachable_errno(socket_path);

	switch (error) {
	case 0:
		output_error("cavad cannot be reached at %s: %s.",
			     socket_path, why);
		break;
	case ENOENT:
		output_error("cavad cannot be reached: there is no socket "
			     "%s.", socket_path);
		break;
	case ECONNREFUSED:
		output_error("cavad cannot be reached: nobody listens at %s "
			     "any more.", socket_path);
		break;
	case EACCES:
	case EPERM:
		output_error("cavad cannot be reached: %s may not be opened: "
			     "%s.", socket_path, strerror(error));
		unreachable_stranger();
		return;
	default:
		output_error("cavad cannot be reached at %s: %s.",
			     socket_path, strerror(error));
		break;
	}
	unreachable_say_unit();
}

void unreachable_stranger(void)
{
	const struct passwd *pw = getpwuid(geteuid());

	fprintf(stderr, "You are %s. cavad answers root, and members of the "
		"group that api_group in\ncavad.conf names: sudo cavactl, or "
		"usermod -aG GROUP %s and a new login.\n",
		pw == NULL ? "an unknown account" : pw->pw_name,
		pw == NULL ? "ACCOUNT" : pw->pw_name);
}
