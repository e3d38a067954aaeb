"""Types into `plimsoll run -it` as a person does. The only argument is the path of the program."""

import fcntl, os, pty, select, struct, sys, termios, time

TIMEOUT_S = 120


def size(terminal, rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


seen = b""


def expect(terminal, text):
    global seen
    until = time.time() + TIMEOUT_S
    while text.encode() not in seen:
        if time.time() > until:
            sys.exit(f"timed out waiting for {text!r}, after {seen!r}")
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 4096)
            except OSError:
                sys.exit(f"the terminal closed before {text!r}, after {seen!r}")
    seen = seen.partition(text.encode())[2]


def type_in(terminal, keys):
    os.write(terminal, keys.encode())


process, terminal = pty.fork()
if process == 0:
    os.execv(sys.argv[1], [sys.argv[1], "run", "-it", "--", "bash", "--norc", "-i"])
before = termios.tcgetattr(terminal)
size(terminal, 30, 100)
expect(terminal, "# ")
size(terminal, 31, 101)
time.sleep(1)
type_in(terminal, "stty size\n")
expect(terminal, "31 101")
type_in(terminal, "tty; echo to-the-tty > /dev/tty\n")
expect(terminal, "/dev/pts/")
expect(terminal, "to-the-tty")
type_in(terminal, "sleep 1000; echo status-$?-$((1+1))\n")
time.sleep(2)
type_in(terminal, "\x03")
type_in(terminal, "echo inter$((1+1))rupted\n")
expect(terminal, "inter2rupted")
type_in(terminal, "sleep 1000\n")
time.sleep(2)
type_in(terminal, "\x1a")
expect(terminal, "Stopped")
type_in(terminal, "kill -9 %1; wait; echo job$((1+1))gone\n")
expect(terminal, "job2gone")
# A shell that has not yet noticed the end of its stopped job takes only the second exit.
type_in(terminal, "exit 42\nexit 42\n")
until = time.time() + TIMEOUT_S
try:
    while not select.select([terminal], [], [], 0.2)[0] or os.read(terminal, 4096):
        if time.time() > until:
            sys.exit("timed out waiting for the end of the shell")
except OSError:
    pass
status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
if status != 42:
    sys.exit(f"status {status}")

# The end of the container restores the modes of the outer terminal.
controller, outside = pty.openpty()
before = termios.tcgetattr(outside)
process = os.fork()
if process == 0:
    os.setsid()
    fcntl.ioctl(outside, termios.TIOCSCTTY, 0)
    for number in (0, 1, 2):
        os.dup2(outside, number)
    os.execv(sys.argv[1], [sys.argv[1], "run", "-it", "--", "sh", "-c", "echo up; exec sleep 1000"])
expect(controller, "up")
if termios.tcgetattr(outside) == before:
    sys.exit("the container did not change the modes of the terminal")
os.kill(process, 15)
status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
if status != 143 or termios.tcgetattr(outside) != before:
    sys.exit(f"status {status}, terminal restored: {termios.tcgetattr(outside) == before}")
