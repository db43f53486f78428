// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package gitserver is a real Git server for tests and the demo, on loopback. It has the rules of a forge:
//
//   - Over SSH, a client must log in as user "git" with a public key. A key reads only the repositories it is registered for, as a deploy
//     key does. The server runs the real git-upload-pack and nothing else: no push, no shell, no forwarding.
//   - Over HTTP, git-http-backend serves public repositories, read-only. A private repository answers 404, like one that does not exist.
//   - Over HTTPS, with a certificate of an authority of its own, it serves private repositories too, to those who have a [Credential]: 401
//     without one or with a wrong one, 404 with one of another repository, 403 with one that lacks the scope. On one more port, it talks only
//     to those who have a client certificate.
//
// The programs git and git-http-backend must be installed; the latter is part of most git packages.
//
// # State directory
//
// Everything lasting is in one directory, and the server looks there at each login. So other processes (the demo, a user's shell, a test)
// can work on the directory of a running server, with [Open] or by hand:
//
//	repositories/<owner>/<name>.git    bare repositories; public if they hold the file git-daemon-export-ok. Push there through the file system.
//	keys/<owner>/<name>/*.pub          deploy keys in OpenSSH's form, one a line, "#" starts a comment. To register a key is to write a file
//	                                   with any name ending in .pub, to unregister it is to remove the file. Both hold from the next request on.
//	credentials/<owner>/<name>/*.json  what [Repository.AddCredential] keeps: digests of credentials. They hold from the next request on.
//	authority.pem                      certificate and key of the authority, see [Store.Authority]. It survives restarts.
//	hostkeys.pem                       private host keys: Ed25519, ECDSA, RSA. They survive restarts.
//	known_hosts                        the host keys for clients, as [Store.KnownHosts] gives them; written when the server starts or rotates its keys.
//	addresses.json                     where the server listens. A restarted server takes the same ports if they are still free.
//	access.log                         each request and login that was refused, and each request that was accepted; JSON lines, see [Access].
package gitserver
