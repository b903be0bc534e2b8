//! The same properties file, run by Flume and by us over the same input, gives the same output files.
//!
//! Each case is a file of `conf/`; its `${env:...}` name the directories and ports of the run: `IN`, `OUT`, `STATE`, `PORT`,
//! `PORT2`. Output is what lies under `OUT`: files in the order in which they were written (the number behind the last `-` of
//! their names), line by line.

mod cases;
mod odd_input;
mod rarer;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::process::{Agent, Side, free_port};

/// One run of one side.
pub(crate) struct Run {
    pub(crate) side: Side,
    /// Directory of the run; the log and all state are here.
    pub(crate) dir: PathBuf,
    pub(crate) input: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) port: u16,
    pub(crate) port2: u16,
    conf: PathBuf,
}

impl Run {
    pub(crate) fn new(side: Side, case: &str, root: &Path) -> Self {
        let dir = root.join(format!("{side:?}"));
        let (input, out) = (dir.join("in"), dir.join("out"));
        for dir in [&input, &out, &dir.join("state"), &out.join("a"), &out.join("b"), &out.join("c")] {
            fs::create_dir_all(dir).expect("a directory");
        }
        let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/peers/conf/{case}.properties"));
        Self { side, dir, input, out, port: free_port(), port2: free_port(), conf }
    }

    /// One with its own properties file instead of one of `conf/`.
    pub(crate) fn with_conf(side: Side, root: &Path, conf: &str) -> Self {
        let mut run = Self::new(side, "", root);
        run.conf = run.dir.join("conf.properties");
        fs::write(&run.conf, conf).expect("a properties file");
        run
    }

    /// Starts agent `name` of the case's file.
    pub(crate) fn start(&self, name: &str) -> Agent {
        let path = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
        let env = BTreeMap::from([
            ("IN".to_owned(), path(&self.input)),
            ("OUT".to_owned(), path(&self.out)),
            ("STATE".to_owned(), path(&self.dir.join("state"))),
            ("PORT".to_owned(), self.port.to_string()),
            ("PORT2".to_owned(), self.port2.to_string()),
            ("GREETING".to_owned(), "hello from outside".to_owned()),
        ]);
        self.side.start(&self.dir, &self.conf, name, &env)
    }

    pub(crate) fn listening(&self, name: &str) -> Agent {
        let mut agent = self.start(name);
        agent.await_port(self.port);
        agent
    }

    /// Writes a file of the input: beside it first, then under its name, as whoever drops files has to.
    pub(crate) fn drop_file(&self, name: &str, content: &[u8]) {
        let path = self.input.join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        let beside = self.dir.join("dropped");
        fs::write(&beside, content).expect("a file");
        fs::rename(&beside, &path).expect("its name");
        // Times of files go by the kernel's ticks. Two files of one tick would be taken in the order of their names, here or there.
        thread::sleep(Duration::from_millis(20));
    }

    /// Waits until so many lines are there.
    pub(crate) fn await_lines(&self, agent: &mut Agent, lines: usize) {
        agent.await_that(&format!("{lines} lines in {}", self.out.display()), || self.lines_now() >= lines);
    }

    pub(crate) fn lines_now(&self) -> usize {
        self.files()
            .iter()
            .map(|path| fs::read(path).map_or(0, |bytes| memchr::memchr_iter(b'\n', &bytes).count()))
            .sum()
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect_files(&self.out, &mut files);
        files
    }

    /// The output by directory, relative to `OUT`; empty files, of which Flume writes one for each interval, do not count.
    pub(crate) fn output(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = self.files();
        files.sort_by_key(|path| order(path));
        let mut output: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for path in files {
            let content = fs::read(&path).expect("an output file");
            if !content.is_empty() {
                let dir =
                    path.parent().and_then(|dir| dir.strip_prefix(&self.out).ok()).expect("a directory of the output");
                output.entry(dir.display().to_string()).or_default().extend(content);
            }
        }
        output
    }
}

fn collect_files(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry")) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_files(&entry.path(), files);
        } else if !entry.file_name().to_string_lossy().starts_with('.') {
            files.push(entry.path());
        }
    }
}

/// Milliseconds of the start, then the running number: `[prefix-]<millis>-<number>[.extension]`.
fn order(path: &Path) -> (u64, u64, String) {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default().to_owned();
    let mut numbers = stem.rsplit('-').map(|part| part.parse().unwrap_or(0));
    let number = numbers.next().unwrap_or(0);
    (numbers.next().unwrap_or(0), number, name)
}

/// What is compared: text, after what cannot be the same (times, ports, random numbers) has been replaced. Each byte is a
/// character, so that no two of them are taken for the same; what the output has in UTF-8, a [`Normal`] sees as its bytes.
pub(crate) type Normal = fn(&Run, String) -> String;

/// Runs `case` on both sides and compares.
pub(crate) fn same(case: &str, drive: impl Fn(&Run), normal: Normal) {
    let root = tempfile::tempdir().expect("a directory");
    let outputs = [Side::Flume, Side::Ours].map(|side| {
        let run = Run::new(side, case, root.path());
        drive(&run);
        let output = run
            .output()
            .into_iter()
            .map(|(dir, bytes)| (dir, normal(&run, bytes.into_iter().map(char::from).collect())));
        output.collect::<BTreeMap<_, _>>()
    });
    let [flume, ours] = outputs;
    assert!(!flume.is_empty(), "Flume wrote nothing: the case shows nothing");
    assert_eq!(ours.keys().collect::<Vec<_>>(), flume.keys().collect::<Vec<_>>(), "{case}: directories with output");
    for (dir, flume) in &flume {
        let ours = ours.get(dir).expect("the same directories");
        let differ = lines(flume).zip(lines(ours)).position(|(flume, ours)| flume != ours);
        let at = differ.unwrap_or_else(|| lines(flume).count().min(lines(ours).count()));
        assert!(
            flume == ours,
            "{case}: {dir} differs at line {at}:\nFlume: {:?}\nours:  {:?}\n({} and {} lines)",
            lines(flume).nth(at),
            lines(ours).nth(at),
            lines(flume).count(),
            lines(ours).count()
        );
    }
    println!("{case}: {} lines agree", flume.values().map(|text| lines(text).count()).sum::<usize>());
}

/// The lines without their line feeds. A carriage return belongs to its line.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_terminator('\n')
}

/// Everything as it is.
pub(crate) fn exact(_: &Run, text: String) -> String {
    text
}

/// With the directories of the run, times in milliseconds and ports replaced.
#[allow(clippy::needless_pass_by_value)] // a `Normal`
pub(crate) fn anonymous(run: &Run, text: String) -> String {
    let text = text.replace(run.dir.to_str().expect("a path in UTF-8"), "DIR");
    let text = text.replace(&run.port.to_string(), "PORT").replace(&run.port2.to_string(), "PORT2");
    let mut masked = String::new();
    let mut digits = String::new();
    for character in text.chars().chain(['\0']) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        masked.push_str(if digits.len() == 13 && digits.starts_with("17") { "MILLIS" } else { &digits });
        digits.clear();
        if character != '\0' {
            masked.push(character);
        }
    }
    masked
}

/// The lines in any order: where several threads or sinks share the work.
pub(crate) fn any_order(run: &Run, text: String) -> String {
    let text = anonymous(run, text);
    let mut lines: Vec<&str> = self::lines(&text).collect();
    lines.sort_unstable();
    lines.join("\n")
}
