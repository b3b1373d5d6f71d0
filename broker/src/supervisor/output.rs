//! What a process writes goes into the broker's log, line by line, under the target `worker`.

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tracing::{info, warn};

use super::Pid;

/// A longer line is written as several.
const MAX_LINE: usize = 8 << 10;

/// Where a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Stdout,
    /// Where programs write what somebody should see, so that it counts as a warning.
    Stderr,
}

impl Source {
    fn log(self, pid: Pid, line: &str) {
        match self {
            Self::Stdout => info!(target: "worker", pid = pid.0, stream = "stdout", "{line}"),
            Self::Stderr => warn!(target: "worker", pid = pid.0, stream = "stderr", "{line}"),
        }
    }
}

/// Reads until there is no more. A process that writes faster than it is logged has to wait.
pub(super) async fn follow(mut stream: impl AsyncRead + Unpin, pid: Pid, source: Source) {
    let mut buffer = vec![0; MAX_LINE];
    let mut lines = Lines::default();
    // A pipe that cannot be read has ended.
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        lines.push(&buffer[..read], |line| source.log(pid, line));
    }
    lines.end(|line| source.log(pid, line));
}

/// Puts lines together that come in pieces.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, mut bytes: &[u8], mut say: impl FnMut(&str)) {
        while !bytes.is_empty() {
            let room = MAX_LINE - self.0.len();
            let fits = &bytes[..bytes.len().min(room)];
            let line = bytes.iter().take(room + 1).position(|byte| *byte == b'\n');
            self.0.extend_from_slice(line.map_or(fits, |end| &bytes[..end]));
            bytes = &bytes[line.map_or(fits.len(), |end| end + 1)..];
            if line.is_some() {
                self.say(self.0.len(), &mut say);
            } else if !bytes.is_empty() {
                self.say(self.whole(), &mut say);
            }
        }
    }

    /// What has no end of a line.
    fn end(mut self, mut say: impl FnMut(&str)) {
        self.say(self.0.len(), &mut say);
    }

    fn say(&mut self, until: usize, say: &mut impl FnMut(&str)) {
        let rest = self.0.split_off(until);
        let line = std::mem::replace(&mut self.0, rest);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if !line.is_empty() {
            say(&String::from_utf8_lossy(line));
        }
    }

    /// How much there is without a character that has only begun.
    fn whole(&self) -> usize {
        let begun = std::str::from_utf8(&self.0).err().filter(|error| error.error_len().is_none());
        begun.map_or(self.0.len(), |error| error.valid_up_to())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut said) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.push(piece, |line| said.push(line.to_owned()));
            assert!(lines.0.len() <= MAX_LINE);
        }
        lines.end(|line| said.push(line.to_owned()));
        said
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        assert_eq!(lines(&[b"one\ntw", b"o", b"\r\n\n\nthr\xc3", b"\xa9\xffe"]), ["one", "two", "thr\u{e9}\u{fffd}e"]);
        assert_eq!(lines(&[b"\n"]), [""; 0]);
        assert_eq!(lines(&[]), [""; 0]);
    }

    #[test]
    fn a_line_without_end_is_cut_between_characters() {
        for before in 0..4 {
            let text = format!("{}{}", "x".repeat(before), "\u{1f600}".repeat(MAX_LINE));
            for size in [1, 7, MAX_LINE, text.len()] {
                let pieces: Vec<_> = text.as_bytes().chunks(size).collect();
                let cut = lines(&pieces);
                assert_eq!(cut.concat(), text);
                assert!(cut.len() <= 6 && cut.iter().all(|line| line.len() <= MAX_LINE), "{}", cut.len());
            }
        }
        let bytes = vec![0xff; 2 * MAX_LINE];
        assert_eq!(lines(&[&bytes]).len(), 2);
    }

    #[test]
    fn a_line_that_just_fits_is_one() {
        let line = "x".repeat(MAX_LINE);
        assert_eq!(lines(&[format!("{line}\nnext").as_bytes()]), [&line, "next"]);
        assert_eq!(lines(&[line.as_bytes(), b"\nnext"]), [&line, "next"]);
        assert_eq!(lines(&[line.as_bytes(), b"y\n"]), [&line, "y"]);
    }
}
