#!/usr/bin/python3
"""Generates the headers of Samba's source that a VFS module needs.

Samba's own configure is not run (it takes over a minute and twenty more
packages): the generators are, and config.h is made from what the installed
smbd says of itself, `smbd -b`, so that macros that shape structs are those
of the smbd that will load the module.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import pathlib
import re
import subprocess
import sys

PYTHON = "/usr/bin/python3"
# What of these a version has.
IDL = ("misc security server_id file_id smb2_lease_struct smb_acl auth lsa "
       "krb5pac netlogon samr conditional_ace nbt smb3posix").split()
SIZES = {"char": "CHAR", "int": "INT", "long": "LONG", "size_t": "SIZE_T",
         "long long": "LONG_LONG", "short": "SHORT", "void*": "VOID_P",
         "uint8_t": "UINT8_T", "uint16_t": "UINT16_T", "uint32_t": "UINT32_T",
         "off_t": "OFF_T", "ino_t": "INO_T", "dev_t": "DEV_T",
         "time_t": "TIME_T"}
# Not for us: modules built in, things redefined by includes.h, strings.
DROP = re.compile(r"static_|.*_init$|STRING_|VALUEOF_|TALLOC_BUILD_|HAVE_ADS$|"
                  r"CTDB_|SIZEOF_")


def run(*command, check=True, **more):
    subprocess.run(command, check=check, **more)


def errors():
    """The header is what is wanted of what they make: newer Samba makes one
    file more, and its generator, given too few names, says so and ends."""
    for kind, header in (("ntstatus", "ntstatus_gen.h"),
                         ("werror", "werror_gen.h"),
                         ("hresult", "hresult.h")):
        header = "libcli/util/" + header
        for others in (2, 3):
            if not os.path.exists(header):
                run(PYTHON, "source4/scripting/bin/gen_%s.py" % kind,
                    "libcli/util/%s_err_table.txt" % kind, header,
                    *[os.devnull] * others, check=False,
                    stdout=subprocess.DEVNULL)
        if not os.path.exists(header):
            raise SystemExit("failed: " + header)


def parameters():
    everything = "docs-xml/smbdotconf/all.xml"
    with open(everything, "w") as out:
        run("sh", "docs-xml/smbdotconf/generate-file-list.sh",
            "docs-xml/smbdotconf", stdout=out)
    for output, mode in (("lib/param/param_local.h",
                          ["--mode=PARAMDEFS", "--scope=LOCAL"]),
                         ("source3/param/param_proto.h",
                          ["--mode=S3PROTO"])):
        run(PYTHON, "script/generate_param.py", "--file", everything,
            "--output", output, *mode)


def interfaces():
    environment = dict(os.environ, CC="gcc")
    jobs = [("librpc/gen_ndr", "librpc/idl/%s.idl" % name) for name in IDL
            if os.path.exists("librpc/idl/%s.idl" % name)]
    jobs.append(("source3/librpc/gen_ndr", "source3/librpc/idl/smbXsrv.idl"))
    running = []
    for outdir, idl in jobs:
        os.makedirs(outdir, exist_ok=True)
        running.append(subprocess.Popen(
            ["perl", "-Ipidl/lib", "pidl/pidl", "--quiet", "--header",
             "--ndr-parser", "--includedir=librpc/idl", "--outputdir",
             outdir, "--", idl], env=environment))
        if len(running) >= 2:
            wait(running.pop(0))
    for process in running:
        wait(process)


def wait(process):
    if process.wait() != 0:
        raise SystemExit("failed: " + " ".join(process.args))


def config():
    said = subprocess.run(["/usr/sbin/smbd", "-b"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    names, sizes = set(), {"OFF_T": 8, "DEV_T": 8, "INO_T": 8, "TIME_T": 8,
                           "SIZE_T": 8, "LONG": 8, "LONG_LONG": 8,
                           "VOID_P": 8, "INT": 4, "SHORT": 2}
    for line in said.splitlines():
        line = line.strip()
        size = re.match(r"sizeof\((.*)\):\s+(\d+)$", line)
        if size and size.group(1) in SIZES:
            sizes[SIZES[size.group(1)]] = int(size.group(2))
        elif re.match(r"[A-Za-z_]\w*$", line) and not DROP.match(line):
            names.add(line)
    if "WITH_SMB1SERVER" not in names and "HAVE_ROBUST_MUTEXES" not in names:
        raise SystemExit("`smbd -b` does not tell its build options")
    os.makedirs("include", exist_ok=True)
    with open("include/config.h", "w") as out:
        for name in sorted(names):
            out.write("#define %s 1\n" % name)
        for name in sorted(sizes):
            out.write("#define SIZEOF_%s %d\n" % (name, sizes[name]))
        out.write("#define offset_t loff_t\n#define uint_t unsigned int\n"
                  "#define static_decl_vfs\n"
                  "#define CONFIG_H_IS_FROM_SAMBA 1\n")
    pathlib.Path("include/version.h").touch()


os.chdir(sys.argv[1])
errors()
parameters()
config()
interfaces()
