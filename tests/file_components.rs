//! Sources and sinks of files, as Flume's properties files describe them.

#![allow(clippy::disallowed_methods)] // the tests write and read the files that the components are about
#![allow(clippy::expect_used, clippy::indexing_slicing)] // an error is a failed test

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use aqueduct::agent::{Outcome, RunningAgent};
use aqueduct::config::{Options, Properties, Registry, SinkSetup};
use aqueduct::sink::{Delivered, SinkError};
use aqueduct::{Drain, Event, Wait};

const PATIENCE: Duration = Duration::from_secs(60);

/// Options with a sink `show` that hands over what it gets.
fn options(home: &Path) -> (Options, Receiver<Event>) {
    let (events, shown) = channel();
    let events: Mutex<Sender<Event>> = Mutex::new(events);
    let mut registry = Registry::standard();
    registry.sink(&["show"], move |_, _| {
        let events = events.lock().expect("no thread has panicked").clone();
        Ok(SinkSetup::new(move |batch: &[Event]| {
            batch.iter().try_for_each(|event| events.send(event.clone())).map_err(SinkError::fatal)?;
            Ok(Delivered::All)
        }))
    });
    (Options::new().with_registry(registry).with_home(home), shown)
}

/// An agent of one source, whose keys come without their prefix, and the sink `show`.
fn text(keys: &str) -> String {
    let keys = keys.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Vec<String> = keys.map(|line| format!("a1.sources.s.{line}\n")).collect();
    format!(
        "a1.sources = s\na1.channels = c\na1.sinks = k\n{}a1.sources.s.channels = c\na1.channels.c.type = memory\n\
         a1.sinks.k.type = show\na1.sinks.k.channel = c\n",
        keys.concat()
    )
}

fn start(keys: &str, options: &Options) -> Result<RunningAgent, Box<dyn Error>> {
    let plan = Properties::parse("test", text(keys).as_bytes())?.plan("a1", options)?;
    assert_eq!(plan.warnings(), [], "{keys}");
    Ok(plan.open()?.start()?)
}

fn mistakes(keys: &str, options: &Options) -> String {
    let properties = Properties::parse("test", text(keys).as_bytes()).expect("properties");
    properties.plan("a1", options).map(|plan| plan.name().to_owned()).expect_err("a mistake").to_string()
}

/// The next events as `name=value name=value body`.
fn next(shown: &Receiver<Event>, count: usize) -> Vec<String> {
    let show = |event: Event| {
        let headers: Vec<String> = event.headers().iter().map(|(name, value)| format!("{name}={value} ")).collect();
        format!("{}{}", headers.concat(), String::from_utf8_lossy(event.body()))
    };
    (0..count).map(|_| show(shown.recv_timeout(PATIENCE).expect("another event"))).collect()
}

/// Goal: nobody has to guess why a file stays where it is. Method: one that is not in the character set of its source.
#[test]
fn files_that_are_left_alone_are_told_in_the_log() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("bad.txt"), b"good\n\xff\n")?;
    let (options, _shown) = options(dir.path());
    let (lines, told) = channel();
    let lines = Mutex::new(lines);
    let options = options.with_log(move |line| drop(lines.lock().expect("no panic").send(line.to_owned())));
    let running = start(&format!("type = spooldir\nspoolDir = {}", dir.path().display()), &options)?;
    let line = told.recv_timeout(PATIENCE)?;
    assert!(line.starts_with("SpoolDirectorySource: ") && line.contains("bad.txt"), "{line}");
    assert!(line.contains("are not valid UTF-8"), "{line}");
    running.shutdown(Drain::up_to(PATIENCE))?;
    Ok(())
}

/// Goal: every key of `TAILDIR` does what it says. Method: a run with all of them, and its position file.
#[test]
fn taildir_takes_all_keys_of_flume() -> Result<(), Box<dyn Error>> {
    use std::os::unix::fs::MetadataExt as _;

    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name);
    fs::write(path("app.log"), "old\nknown\n")?;
    fs::write(path("audit-1"), "skipped\n")?;
    let inode = fs::metadata(path("app.log"))?.ino();
    fs::create_dir_all(path(".flume"))?;
    let app = path("app.log").display().to_string();
    let position = |pos: u64| format!("[{{\"inode\":{inode},\"pos\":{pos},\"file\":\"{app}\"}}]");
    let positions = path(".flume/taildir_position.json");
    fs::write(&positions, position(4))?;
    let base = dir.path().display();
    let keys = format!(
        "type = TAILDIR
        filegroups = f1 f2
        filegroups.f1 = {base}/app\\\\.log
        filegroups.f2 = {base}/audit-\\\\d
        headers.f1.kind = app
        headers.f1.zone = a b
        byteOffsetHeader = true
        fileHeader = true
        fileHeaderKey = from
        skipToEnd = true
        idleTimeout = 1
        writePosInterval = 1
        writePositionFile = true
        batchSize = 7
        maxBatchCount = 2
        backoffSleepIncrement = 10
        maxBackoffSleep = 20
        cachePatternMatching = false
        maxLineLength = 100
        overlongLines = truncate
        maxOpenFiles = 5"
    );
    let (options, shown) = options(dir.path());
    let running = start(&keys, &options)?;
    assert_eq!(next(&shown, 1), [format!("byteoffset=4 kind=app zone=a b from={app} known")]);
    fs::write(path("audit-2"), "half")?;
    let audit = path("audit-2").display().to_string();
    assert_eq!(next(&shown, 1), [format!("byteoffset=0 from={audit} half")], "it is idle after a millisecond");
    running.shutdown(Drain::up_to(PATIENCE))?;
    let written = fs::read_to_string(&positions)?;
    assert!(written.contains(&position(10)[1..position(10).len() - 1]), "{written}");
    assert!(written.contains("audit-1\"") && written.contains("\"pos\":8,"), "{written}");
    Ok(())
}

#[test]
fn mistakes_in_taildir_are_named() {
    let (options, _shown) = options(Path::new("/nowhere"));
    for (keys, part) in [
        ("type = TAILDIR", "filegroups"),
        ("type = TAILDIR\nfilegroups = f", "filegroups.f"),
        ("type = TAILDIR\nfilegroups = f\nfilegroups.f = app.log", "has no directory"),
        ("type = TAILDIR\nfilegroups = f\nfilegroups.f = /logs/(", "a group is not closed"),
        ("type = TAILDIR\nfilegroups = f\nfilegroups.f = /logs/x\nskipToEnd = ja", "skipToEnd = ja"),
        ("type = TAILDIR\nfilegroups = f\nfilegroups.f = /logs/x\nmaxBatchCount = 0", "maxBatchCount = 0"),
        ("type = TAILDIR\nfilegroups = f\nfilegroups.f = /logs/x\nidleTimout = 5", "is it idleTimeout?"),
    ] {
        let told = mistakes(keys, &options);
        assert!(told.contains(part), "{keys}: {told}");
    }
}

/// Goal: every serializer has Flume's names, keys and bytes. Method: five counted events through a file roll sink each.
#[test]
fn file_roll_takes_all_serializers() -> Result<(), Box<dyn Error>> {
    let text = "org.apache.flume.serialization.BodyTextEventSerializer$Builder";
    let header_and_text = "org.apache.flume.serialization.HeaderAndBodyTextEventSerializer$Builder";
    let avro = "org.apache.flume.serialization.FlumeEventAvroEventSerializer$Builder";
    let avro_keys = "sink.serializer.syncIntervalBytes = 40\nsink.serializer.compressionCodec = Deflate";
    let json =
        ["0", "1", "2", "3", "4"].map(|i| format!("{{\"headers\":{{\"k\":\"v\"}},\"body\":\"{i}\"}}\n")).concat();
    for (serializer, keys, expected) in [
        ("TEXT", "", "0\n1\n2\n3\n4\n"),
        (text, "sink.serializer.appendNewline = false", "01234"),
        ("Header_And_Text", "", "{k=v} 0\n{k=v} 1\n{k=v} 2\n{k=v} 3\n{k=v} 4\n"),
        (header_and_text, "sink.serializer.appendNewline = false", "{k=v} 0{k=v} 1{k=v} 2{k=v} 3{k=v} 4"),
        ("json", "", &json),
        ("avro_event", "", "0,1,2,3,4"),
        (avro, avro_keys, "0,1,2,3,4"),
    ] {
        let dir = tempfile::tempdir()?;
        let keys = keys.lines().map(|line| format!("a1.sinks.k.{line}\n")).collect::<Vec<_>>().concat();
        let text = format!(
            "a1.sources = s\na1.channels = c\na1.sinks = k\na1.sources.s.type = seq\na1.sources.s.totalEvents = 5\n\
             a1.sources.s.channels = c\na1.sources.s.interceptors = i\na1.sources.s.interceptors.i.type = static\n\
             a1.sources.s.interceptors.i.key = k\na1.sources.s.interceptors.i.value = v\na1.channels.c.type = memory\n\
             a1.sinks.k.type = file_roll\na1.sinks.k.channel = c\na1.sinks.k.sink.directory = {}\n\
             a1.sinks.k.sink.rollInterval = 0\na1.sinks.k.sink.batchSize = 2\n\
             a1.sinks.k.sink.serializer = {serializer}\n{keys}",
            dir.path().display()
        );
        let running = Properties::parse("test", text.as_bytes())?.agent("a1")?.start()?;
        assert_ne!(running.wait_done(Wait::up_to(PATIENCE)), Outcome::Stopped);
        running.shutdown(Drain::up_to(PATIENCE))?;
        let mut files: Vec<_> =
            fs::read_dir(dir.path())?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
        files.sort();
        let [file] = &files[..] else { panic!("{serializer}: {files:?}") };
        let content = fs::read(file)?;
        let found = if content.starts_with(b"Obj\x01") { avro_bodies(&content)? } else { String::from_utf8(content)? };
        assert_eq!(found, expected, "{serializer} {keys}");
    }
    Ok(())
}

/// The bodies in a container file, as another implementation of Avro reads them.
fn avro_bodies(content: &[u8]) -> Result<String, Box<dyn Error>> {
    use apache_avro::types::Value;

    let mut bodies = Vec::new();
    for value in apache_avro::Reader::new(content)? {
        let Value::Record(fields) = value? else { return Err("no record".into()) };
        let [(_, Value::Map(headers)), (_, Value::Bytes(body))] = &fields[..] else {
            return Err("other fields".into());
        };
        assert_eq!(headers.get("k"), Some(&Value::String("v".into())));
        bodies.push(String::from_utf8(body.clone())?);
    }
    Ok(bodies.join(","))
}

/// Goal: every key of `exec` and of the stress source does what it says. Method: runs with all of them.
#[test]
fn exec_and_stress_take_all_keys_of_flume() -> Result<(), Box<dyn Error>> {
    let (options, shown) = options(Path::new("/nowhere"));
    let log = std::sync::Arc::new(Mutex::new(Vec::new()));
    let logged = log.clone();
    let options = options.with_log(move |line| logged.lock().expect("no panic").push(line.to_owned()));
    let keys = "type = exec
        shell = /bin/sh -c
        command = printf 'caf\\\\351\\\\rtwo\\\\n'; echo 'an\\u001b error' >&2; sleep 0.01
        charset = ISO-8859-1
        restart = true
        restartThrottle = 1
        logStdErr = true
        batchSize = 2
        batchTimeout = 10
        maxLineLength = 4";
    let running = start(keys, &options)?;
    let lines = next(&shown, 6);
    assert_eq!(lines, ["caf\u{fffd}", "two", "caf\u{fffd}", "two", "caf\u{fffd}", "two"]);
    running.shutdown(Drain::up_to(PATIENCE))?;
    let log = log.lock().expect("no panic");
    assert_eq!(log[..2], ["StderrLogger[1] = 'an? error'", "StderrLogger[2] = 'an? error'"]);

    let keys = "type = org.apache.flume.source.StressSource
        size = 3
        maxTotalEvents = 5
        maxSuccessfulEvents = 100
        maxEventsPerSecond = 1000
        batchSize = 2";
    let (options, shown) = self::options(Path::new("/nowhere"));
    let running = start(keys, &options)?;
    assert_eq!(next(&shown, 5), ["\u{7f}\u{7f}\u{7f}"; 5]);
    assert_ne!(running.wait_done(Wait::up_to(PATIENCE)), Outcome::Stopped);
    running.shutdown(Drain::up_to(PATIENCE))?;
    assert!(shown.try_recv().is_err());
    Ok(())
}

/// Goal: every deserializer has Flume's names and keys. Method: the same file, read by each.
#[test]
fn spool_dirs_take_all_deserializers() -> Result<(), Box<dyn Error>> {
    let avro = "org.apache.flume.serialization.AvroEventDeserializer$Builder";
    let blob = "org.apache.flume.sink.solr.morphline.BlobDeserializer$Builder";
    let multi = "deserializer.pattern = ^\\\\s\ndeserializer.match = ";
    let schema = r#"{"type":"string"}"#;
    let mut container = b"Obj\x01\x02\x16avro.schema\x22".to_vec();
    container.extend(schema.as_bytes());
    container.extend(b"\x000123456789abcdef\x04\x08\x02a\x02b0123456789abcdef");
    let text: &[u8] = b"one\n at x\ntwo";
    let cases: [(&str, String, &[u8], &[&str]); 11] = [
        ("line", "deserializer.maxLineLength = 4".to_owned(), text, &["one", " at ", "x", "two"]),
        (blob, "deserializer.maxBlobLength = 8".to_owned(), text, &["one\n at ", "x\ntwo"]),
        (blob, String::new(), text, &["one\n at x\ntwo"]),
        ("MultiLine", format!("{multi} continues"), text, &["one\n at x", "two"]),
        ("multiline", format!("{multi} begins"), text, &["one", " at x\ntwo"]),
        ("multiline", format!("{multi} continued"), text, &["one", " at x\ntwo"]),
        ("multiline", format!("{multi} begins\ndeserializer.negate = true"), text, &["one\n at x", "two"]),
        ("multiline", format!("{multi} continues\ndeserializer.maxLines = 1"), text, &["one", " at x", "two"]),
        ("multiline", format!("{multi} continues\ndeserializer.maxBytes = 8"), text, &["one", " at x", "two"]),
        ("avro", String::new(), &container, &["flume.avro.schema.hash=c70345637248018f \u{2}a"]),
        (
            avro,
            "deserializer.schemaType = literal".to_owned(),
            &container,
            &["flume.avro.schema.literal=\"string\" \u{2}a"],
        ),
    ];
    for (deserializer, keys, file, expected) in cases {
        let dir = tempfile::tempdir()?;
        fs::write(dir.path().join("file"), file)?;
        let (options, shown) = options(dir.path());
        let dir = dir.path().display();
        let keys = format!("type = spooldir\nspoolDir = {dir}\ndeserializer = {deserializer}\n{keys}");
        let running = start(&keys, &options)?;
        assert_eq!(next(&shown, expected.len()), expected, "{keys}");
        running.shutdown(Drain::up_to(PATIENCE))?;
    }
    Ok(())
}

#[test]
fn mistakes_in_exec_stress_and_deserializers_are_named() {
    let (options, _shown) = options(Path::new("/nowhere"));
    let multi = "type = spooldir\nspoolDir = /in\ndeserializer = multiline\n";
    for (keys, part) in [
        ("type = exec", "command"),
        ("type = exec\ncommand = x\ncharset = none", "no known encoding"),
        ("type = exec\ncommand = x\nbatchTimeout = 0", "batchTimeout = 0"),
        ("type = exec\ncommand = x\nrestartThrotle = 1", "is it restartThrottle?"),
        ("type = stress\nsize = -1", "size = -1"),
        ("type = stress\nmaxTotalEvent = 1", "is it maxTotalEvents?"),
        ("type = spooldir\nspoolDir = /in\ndeserializer = avrp", "is it AVRO?"),
        ("type = spooldir\nspoolDir = /in\ndeserializer = avro\ndeserializer.schemaType = text", "HASH or LITERAL"),
        ("type = spooldir\nspoolDir = /in\ndeserializer = avro\ndeserializer.maxLineLength = 5", "has no such key"),
        (multi, "deserializer.pattern: is missing"),
        (format!("{multi}deserializer.pattern = (").as_str(), "a group is not closed"),
        (
            format!("{multi}deserializer.pattern = x\ndeserializer.match = starts").as_str(),
            "deserializer.match = starts",
        ),
    ] {
        let told = mistakes(keys, &options);
        assert!(told.contains(part), "{keys}: {told}");
    }
}
