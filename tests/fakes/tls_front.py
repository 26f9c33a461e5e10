#!/usr/bin/python3
"""TLS in front of a server that has none: tls_front.py CERT KEY ADDRESS PORT
listens on a free port of ADDRESS, prints it, and passes on to PORT there.
A process of its own: Samba's Python client holds the interpreter's lock.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import socket
import ssl
import sys
import threading


def copy(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for sock in (source, sink):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client, behind):
    try:
        client.do_handshake()
        server = socket.create_connection(behind)
    except OSError:
        client.close()
        return
    threading.Thread(target=copy, args=(server, client), daemon=True).start()
    copy(client, server)


def main():
    cert, key, address, port = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    listener = context.wrap_socket(socket.create_server((address, 0)),
                                   server_side=True,
                                   do_handshake_on_connect=False)
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, (address, int(port))),
                         daemon=True).start()


main()
