"""cee_agent with Kerberos: a real KDC (MIT) and a real smbd with a keytab.

smbd here is a server of its own, so tickets carry no PAC. The account has the
same password for NTLM: a login that fails never falls back to that.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import signal
import socket
import subprocess
import time

import pytest

from cee_agent_world import (ACCESS_DENIED, ACCOUNT, FAIL, PASSWORD, SUCCESS,
                             World, connects, find_agent, wait_for)

REALM = "CAVA.TEST"
NAME = "nas.cava.test"
USER = "%s@%s" % (ACCOUNT, REALM)
LIFE = 8        # hours of a ticket


class Realm:
    """A KDC, its programs' environment, and a world whose smbd trusts it."""

    def __init__(self):
        self.world = World(self.prepare)
        # names resolve in the agent's own mount namespace
        (self.world.dir / "hosts").write_text(
            "127.0.0.1 localhost\n%s %s\n" % (self.world.address, NAME))
        self.world.file("f", b"content")

    def prepare(self, world):
        self.dir = world.dir
        self.kdc_address = world.address
        (self.dir / "krb5.conf").write_text(
            "[libdefaults]\ndefault_realm = %s\ndns_lookup_kdc = false\n"
            "dns_lookup_realm = false\nrdns = false\n"
            "dns_canonicalize_hostname = false\n[realms]\n%s = {\n"
            "kdc = %s:88\n}\n[domain_realm]\n.cava.test = %s\n"
            % (REALM, REALM, self.kdc_address, REALM))
        (self.dir / "kdc.conf").write_text(
            "[kdcdefaults]\nkdc_listen = %s:88\nkdc_tcp_listen = %s:88\n"
            "[realms]\n%s = {\ndatabase_name = %s/principal\n"
            "key_stash_file = %s/stash\nmax_life = %dh\n"
            "disable_pac = true\n}\n" % (
                self.kdc_address, self.kdc_address, REALM, self.dir,
                self.dir, LIFE))
        self.env = dict(os.environ, KRB5_CONFIG=str(self.dir / "krb5.conf"),
                        KRB5_KDC_PROFILE=str(self.dir / "kdc.conf"),
                        RUNTIME_DIRECTORY=str(self.dir))
        self.run("kdb5_util", "create", "-s", "-P", "master", "-r", REALM)
        self.kadmin('addprinc -pw "%s" %s' % (PASSWORD, ACCOUNT))
        self.kadmin("addprinc -randkey cifs/" + NAME)
        self.kadmin("ktadd -k %s/smbd.keytab cifs/%s" % (self.dir, NAME))
        self.kadmin("ktadd -norandkey -k %s/user.keytab %s" % (self.dir,
                                                              ACCOUNT))
        self.start_kdc(world)
        return ["realm = " + REALM,
                "kerberos method = dedicated keytab",
                "dedicated keytab file = FILE:%s/smbd.keytab" % self.dir
                ], self.env

    def start_kdc(self, world):
        self.kdc = world.run(["/usr/sbin/krb5kdc", "-n", "-r", REALM],
                             env=self.env)
        wait_for("the KDC", lambda: connects(socket.AF_INET,
                                             (self.kdc_address, 88)))

    def run(self, *argv):
        return subprocess.run(argv, env=self.env, check=True, text=True,
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE).stdout

    def kadmin(self, command):
        self.run("kadmin.local", "-r", REALM, "-q", command)

    def agent(self, **storage):
        storage = {"host": NAME, "login": "kerberos", "user": USER, **storage}
        return self.world.agent(
            storage=storage, password=False, env=self.env, workers=2,
            wrapper=["unshare", "--mount", "sh", "-c",
                     "mount --bind %s/hosts /etc/hosts && exec \"$@\""
                     % self.dir, "sh"])

    def unc(self):
        return "\\\\%s\\CHECK$\\f" % NAME

    def password(self):
        path = self.dir / "kerberos.password"
        path.write_text(PASSWORD + "\n")
        path.chmod(0o600)
        return path

    def tickets(self):
        """Times until which tickets that agents have got are good."""
        found = []
        for path in sorted(self.dir.glob("cee_agent.*/ticket.*")):
            text = self.run("klist", "-c", "FILE:%s" % path)
            assert "krbtgt/%s@%s" % (REALM, REALM) in text
            found.append(path)
        return found


@pytest.fixture(scope="module")
def realm():
    r = Realm()
    yield r
    r.world.close()


def test_keytab(realm):
    a = realm.agent(keytab=realm.dir / "user.keytab")
    for _ in range(4):
        reply = a.scan(realm.unc())
        assert reply.status == SUCCESS, reply
    assert len(realm.tickets()) == 1        # of the one worker that was used
    assert a.status()["storages"][0]["login"] == "kerberos"
    # a ticket of the worker that dies is made anew by the next one
    for pid in a.workers():
        os.kill(pid, signal.SIGKILL)
    wait_for("a scan to work again",
             lambda: a.scan(realm.unc()).status == SUCCESS)
    assert a.stop() == 0
    assert realm.tickets() == []


def test_ccache(realm):
    ccache = realm.dir / "somebodys.ccache"
    realm.run("kinit", "-k", "-t", str(realm.dir / "user.keytab"), "-c",
              "FILE:%s" % ccache, USER)
    a = realm.agent(ccache="FILE:%s" % ccache)
    assert a.scan(realm.unc()).status == SUCCESS
    text = realm.run("klist", "-c", "FILE:%s" % ccache)
    assert "cifs/" + NAME in text
    a.stop()


def test_password(realm):
    a = realm.agent(password_file=realm.password())
    assert a.scan(realm.unc()).status == SUCCESS
    a.stop()


def test_no_fallback_to_ntlm(realm):
    ntlm = realm.agent(password_file=realm.password(), login="ntlm",
                       user=ACCOUNT)
    assert ntlm.scan(realm.unc()).status == SUCCESS     # it would work
    ntlm.stop()
    realm.kdc.stop(signal.SIGKILL)
    try:
        a = realm.agent(password_file=realm.password())
        reply = a.scan(realm.unc())
        assert reply.status == FAIL
        assert "can a KDC be reached" in reply.detail
        a.stop()
        a = realm.agent(keytab=realm.dir / "user.keytab")
        reply = a.scan(realm.unc())
        assert reply.status == FAIL
        assert "CHECK$: Cannot contact any KDC" in reply.detail
        realm.start_kdc(realm.world)
        assert a.scan(realm.unc()).status == SUCCESS
        a.stop()
    finally:
        if realm.kdc.popen.poll() is not None:
            realm.start_kdc(realm.world)


def test_key_that_is_not_good(realm):
    """The password was changed after the keytab was made."""
    realm.kadmin("addprinc -pw old other")
    path = realm.dir / "other.keytab"
    realm.kadmin("ktadd -norandkey -k %s other" % path)
    realm.kadmin("cpw -pw new other")
    a = realm.agent(keytab=path, user="other@" + REALM)
    reply = a.scan(realm.unc())
    assert reply.status == ACCESS_DENIED
    assert "keytab" in reply.detail and "[storage one]" in reply.detail
    a.stop()


@pytest.mark.parametrize("storage, message", [
    ({"user": "daemon"}, "login = kerberos needs NAME@REALM"),
    ({"host": "192.0.2.1"}, "no Kerberos tickets for addresses"),
    ({"login": "ntlm"}, "keytab and ccache are for login = kerberos"),
    ({"ccache": "FILE:/x"}, "needs one of password_file, keytab and ccache"),
])
def test_bad_configuration(realm, storage, message):
    conf = realm.dir / "bad.conf"
    storage = {"host": NAME, "login": "kerberos", "user": USER,
               "keytab": realm.dir / "user.keytab", **storage}
    conf.write_text("[storage x]\n" + "".join(
        "%s = %s\n" % pair for pair in storage.items()))
    done = subprocess.run([find_agent(), "--check-config", "-c", conf],
                          text=True, stdin=subprocess.DEVNULL, timeout=20,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 1 and message in done.stdout, done.stdout


def test_keytab_of_others(realm):
    keytab = realm.dir / "open.keytab"
    keytab.write_bytes((realm.dir / "user.keytab").read_bytes())
    keytab.chmod(0o640)
    conf = realm.dir / "open.conf"
    conf.write_text("[storage x]\nhost = %s\nlogin = kerberos\nuser = %s\n"
                    "keytab = %s\n" % (NAME, USER, keytab))
    done = subprocess.run([find_agent(), "--check-config", "-c", conf],
                          text=True, stdin=subprocess.DEVNULL, timeout=20,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 1
    assert "keytab %s: must be a file of mode 0600" % keytab in done.stdout


@pytest.mark.parametrize("key", ["keytab", "password_file"])
def test_ticket_ends(realm, key):
    """smbd ends a session with its ticket: the next scan makes both anew."""
    realm.kadmin('modprinc -maxlife "3 seconds" ' + ACCOUNT)
    try:
        a = realm.agent(**{key: realm.dir / "user.keytab" if key == "keytab"
                           else realm.password()})
        until = time.monotonic() + 4        # of the KDC's clock
        assert a.scan(realm.unc()).status == SUCCESS
        while time.monotonic() < until:
            time.sleep(0.1)
        reply = a.scan(realm.unc())
        assert reply.status == SUCCESS, reply
        scans = a.status()["storages"][0]
        assert (scans["failed"], scans["sessions_opened"]) == (0, 2)
        a.stop()
    finally:
        realm.kadmin('modprinc -maxlife "%d hours" %s' % (LIFE, ACCOUNT))
