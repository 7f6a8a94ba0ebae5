#!/usr/bin/env python3
"""A plugin of age that speaks the real protocol and keeps no secret: the "token" is a hash that both sides know.

age-plugin-token --generate NAME   an identity file, as age-plugin-yubikey prints them
age-plugin-token --recipient PREFIX HEX   a recipient of any kind, with these bytes
TOKEN_MODE                         absent: the token is gone; silent: it waits to be touched; pin: it asks for the PIN 1234
TOKEN_LOG                          a file that each call adds a line to
"""
import base64, hashlib, os, sys, time

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def checksum(values):
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> bit & 1 else 0
    return check


def bech32(prefix, data):
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    values = [int(bits[at:at + 5], 2) for at in range(0, len(bits), 5)]
    head = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = checksum(head + values + [0] * 6) ^ 1
    values += [check >> 5 * (5 - at) & 31 for at in range(6)]
    return prefix + "1" + "".join(ALPHABET[value] for value in values)


def payload(text):
    values = [ALPHABET.index(c) for c in text.lower().rsplit("1", 1)[1][:-6]]
    bits = "".join(f"{value:05b}" for value in values)
    return bytes(int(bits[at:at + 8], 2) for at in range(0, len(bits) - 7, 8))


def receive():
    head = sys.stdin.readline()
    if not head:
        sys.exit(1)
    body = ""
    while True:
        line = sys.stdin.readline().rstrip("\n")
        body += line
        if len(line) < 64:
            return head.split()[1:], base64.b64decode(body + "=" * (-len(body) % 4))


def send(words, body=b""):
    text = base64.b64encode(body).decode().rstrip("=")
    lines = [text[at:at + 64] for at in range(0, len(text), 64)]
    if not lines or len(lines[-1]) == 64:
        lines.append("")
    print("-> " + " ".join(words), *lines, sep="\n", flush=True)


def ask(words, body=b""):
    send(words, body)
    return receive()


def wrapped(token, key):
    return bytes(a ^ b for a, b in zip(key, hashlib.sha256(b"wrap" + token).digest()))


def requests():
    while True:
        words, body = receive()
        if words[0] == "done":
            return
        yield words, body


def main():
    if sys.argv[1] == "--generate":
        token = hashlib.sha256(sys.argv[2].encode()).digest()[:16]
        print("#       Serial: 1, Slot: 1\n#    Recipient: " + bech32("age1token", token))
        print(bech32("age-plugin-token-", token).upper())
        return
    if sys.argv[1] == "--recipient":
        print(bech32(sys.argv[2], bytes.fromhex(sys.argv[3])))
        return
    machine = sys.argv[1].removeprefix("--age-plugin=")
    if "TOKEN_LOG" in os.environ:
        open(os.environ["TOKEN_LOG"], "a").write(machine + "\n")
    tokens, keys, stanzas = [], [], []
    for words, body in requests():
        if words[0] in ("add-recipient", "add-identity"):
            tokens.append(payload(words[1]))
        elif words[0] == "wrap-file-key":
            keys.append(body)
        elif words[0] == "recipient-stanza" and words[2] == "token":
            stanzas.append((words[3], body))
    if machine == "recipient-v1":
        for token in tokens:
            ask(["recipient-stanza", "0", "token", token.hex()], wrapped(token, keys[0]))
        send(["done"])
        return
    mode = os.environ.get("TOKEN_MODE", "")
    ours = [(token, body) for token in tokens for name, body in stanzas if name == token.hex()]
    if mode == "silent":
        ask(["msg"], b"touch the token")
        time.sleep(600)
    if mode == "absent":
        ask(["error", "identity", "0"], b"the token is not plugged in")
    elif mode == "pin" and ours:
        words, pin = ask(["request-secret"], b"PIN of the token")
        if words[0] != "ok" or pin != b"1234":
            ask(["error", "identity", "0"], b"the PIN is wrong")
            ours = []
    if mode != "absent":
        for token, body in ours[:1]:
            ask(["file-key", "0"], wrapped(token, body))
    send(["done"])


main()
