#!/usr/bin/env bash
# Expected: a ZeroMQ client reconnects by itself for as long as its socket is open; one whose CURVE key was not
#   known yet gets in once the key has been added at the server.
# Seen (pyzmq 27.1.0, libzmq 4.3.5): a connection that the authenticator refused (ZAP 400) is not tried again:
#   seconds after the key was added the old socket still has nowhere to send to. A disconnect and connect of the
#   same socket, or a new socket, gets in at once.
# Matters: an operator adds a user's key and the user's program, which waits politely, never notices: a client has
#   to watch for the failed authentication and connect again itself.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "pyzmq==27.1.0"
env/bin/python - <<'PY'
import pathlib

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

context = zmq.Context()
server_public, server_secret = zmq.curve_keypair()
public, secret = zmq.curve_keypair()
keys = pathlib.Path("keys")
keys.mkdir()
zmq.auth.create_certificates(keys, "somebody_else")
authenticator = ThreadAuthenticator(context)
authenticator.start()
authenticator.configure_curve(domain="*", location=str(keys))
server = context.socket(zmq.ROUTER)
server.curve_server, server.curve_secretkey = True, server_secret
address = f"tcp://127.0.0.1:{server.bind_to_random_port('tcp://127.0.0.1')}"

def client():
    socket = context.socket(zmq.DEALER)
    socket.linger, socket.curve_serverkey = 0, server_public
    socket.curve_publickey, socket.curve_secretkey = public, secret
    socket.immediate = True  # it can be written to only while its connection stands
    socket.connect(address)
    return socket

def gets_in(socket, seconds=5):
    return bool(socket.poll(seconds * 1000, zmq.POLLOUT))

old = client()
refused = not gets_in(old, 1)
(keys / "client.key").write_text(f'metadata\ncurve\n    public-key = "{public.decode()}"\n')
authenticator.configure_curve(domain="*", location=str(keys))
waited = gets_in(old)
fresh = gets_in(client())
old.disconnect(address)
old.connect(address)
again = gets_in(old)
print(f"pyzmq {zmq.__version__}, libzmq {zmq.zmq_version()}: refused {refused}; 5 s after the key was added: "
      f"old socket in {waited}, new socket in {fresh}, old socket connected again in {again}")
authenticator.stop()
context.destroy(0)
assert refused and not waited and fresh and again
PY
echo "as stated"
