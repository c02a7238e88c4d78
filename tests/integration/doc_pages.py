#!/usr/bin/env python3
"""doc_pages.py [--fill] PAGE... - runs pages of documentation as they are printed, in the current folder.

Every ```sh block of the pages is run, in order, in one bash; each must end with 0. A ```text block behind it is what the
block prints, standard error included, where `...` stands for anything within a line, and for any number of lines where it
stands alone. Other blocks are for reading only.

--fill replaces each ```text block that is only a `?` by what was printed: for who writes a page.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile

SECONDS = 420


class Block:
    def __init__(self, page, line, text):
        self.page, self.line, self.text = page, line, text
        self.expected = None  # lines
        self.expected_at = None  # index of the first of them


def read_blocks(page):
    """The ```sh blocks of one page with what they must print."""
    with open(page, encoding="utf-8") as file:
        lines = file.read().splitlines()
    blocks, at, kind, previous_end = [], 0, None, None
    for i, line in enumerate(lines):
        if kind is None and line.startswith("```"):
            kind, at = line[3:].strip(), i + 1
        elif kind is not None and line == "```":
            if kind == "sh":
                blocks.append(Block(page, at, "\n".join(lines[at:i]) + "\n"))
                previous_end = i
            elif kind == "text" and previous_end is not None and not "".join(lines[previous_end + 1:at - 1]).strip():
                blocks[-1].expected, blocks[-1].expected_at = lines[at:i], at
            kind = None
    if kind is not None:
        raise SystemExit(f"{page}:{at}: this block does not end")
    if not blocks:
        raise SystemExit(f"{page}: nothing to run")
    return blocks


def pattern(expected):
    parts = []
    for line in expected:
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(".*".join(re.escape(part) for part in line.rstrip().split("...")) + r" *\n")
    return re.compile("".join(parts))


def matches(expected, output):
    text = "".join(line + "\n" for line in output.splitlines())
    return pattern(expected).fullmatch(text) is not None


def run(blocks, folder):
    """Returns how many blocks ended with 0; output and code lie in the folder."""
    driver = []
    for i, block in enumerate(blocks):
        with open(f"{folder}/{i}.sh", "w", encoding="utf-8") as file:
            file.write(block.text)
        driver.append(f'source "{folder}/{i}.sh" >"{folder}/{i}.out" 2>&1 </dev/null || {{ echo $? >"{folder}/{i}.code"; exit 1; }}')
        driver.append(f'echo 0 >"{folder}/{i}.code"')
    with open(f"{folder}/driver", "w", encoding="utf-8") as file:
        file.write("\n".join(driver) + "\n")
    # A session of its own: what the page leaves in the background ends with it.
    with subprocess.Popen(["bash", "--norc", f"{folder}/driver"], start_new_session=True) as process:
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            print(f"not done after {SECONDS} s", file=sys.stderr)
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    done = 0
    while done < len(blocks) and os.path.exists(f"{folder}/{done}.code") and read(f"{folder}/{done}.code") == "0\n":
        done += 1
    return done


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def fill(blocks, outputs):
    """From the end, so that the places of those before stay right."""
    for block, output in reversed(list(zip(blocks, outputs))):
        if block.expected != ["?"]:
            continue
        lines = read(block.page).splitlines()
        lines[block.expected_at:block.expected_at + 1] = output.splitlines()
        with open(block.page, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")


def complain(block, what, output):
    print(f"{block.page}:{block.line}: {what}\n{block.text}--- printed:\n{output}", file=sys.stderr)


def main(arguments):
    filling = arguments[:1] == ["--fill"]
    pages = [os.path.abspath(page) for page in arguments[filling:]]
    blocks = [block for page in pages for block in read_blocks(page)]
    with tempfile.TemporaryDirectory() as folder:
        done = run(blocks, folder)
        outputs = [read(f"{folder}/{i}.out") for i in range(done)]
        if filling:
            fill(blocks, outputs)
        wrong = 0
        for block, output in zip(blocks, outputs):
            if block.expected is not None and block.expected != ["?"] and not matches(block.expected, output):
                complain(block, "prints something else than the page says", output)
                wrong += 1
        if done < len(blocks):
            path = f"{folder}/{done}.out"
            complain(blocks[done], "does not end with 0", read(path) if os.path.exists(path) else "")
            wrong += 1
    if wrong:
        sys.exit(1)
    print(f"{len(blocks)} blocks, {sum(block.expected is not None for block in blocks)} outputs as printed")


if __name__ == "__main__":
    main(sys.argv[1:])
