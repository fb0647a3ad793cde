"""Disposable Debian hosts with systemd as PID 1 and sshd, for running real roles against.

sources.py   what this machine's apt is told: mirror, proxies, certificate authorities
programs.py  what must be on the machine, what is unpacked beside it, and when to skip
rootfs.py    the image, made once and cached outside the repository
boot.sh      from fresh namespaces to systemd as PID 1
network.py   a network of the host's own, in user space, with ports forwarded from loopback
machine.py   TestHost, which ties these together
playbook.py  the real ansible-playbook, and what its recap says
fixtures.py  `linux_host` (shared by a module) and `fresh_host` (for one test)
"""
