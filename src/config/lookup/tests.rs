#![allow(clippy::disallowed_methods)] // files of the operating system are what is read

use super::*;
use crate::config::Properties;
use crate::config::problem::Origin;

fn resolve(pairs: &[(&str, &str)], value: &str) -> (String, Vec<String>) {
    let raw = |value: &str| Raw { value: value.to_owned(), origin: Origin::line("f", 1) };
    let entries = pairs.iter().map(|(key, value)| ((*key).to_owned(), raw(value))).collect();
    let options = Options::new()
        .with_environment(|name| match name {
            "PORT" => Some("4141".to_owned()),
            "NAME" => Some("PORT".to_owned()),
            "TEXT" => Some("${env:PORT}".to_owned()),
            "SECRET" => Some("s3cret?".to_owned()),
            "TRAP" => Some("a${s3cret}${s3cret:-b}".to_owned()),
            _ => None,
        })
        .with_home("/h")
        // The home that is given counts, here as for the default directories.
        .with_property("user.home", "/elsewhere")
        .with_property("zone", "eu");
    let resolved = Resolver::new(&entries, &options).resolve(&raw(value));
    (resolved.value, resolved.problems.into_iter().map(|(severity, text)| format!("{severity:?}: {text}")).collect())
}

fn good(pairs: &[(&str, &str)], value: &str) -> String {
    let (value, problems) = resolve(pairs, value);
    assert_eq!(problems, [""; 0]);
    value
}

#[test]
fn references_stand_for_the_environment_system_properties_and_other_keys() {
    let keys = [("port", "${env:PORT}"), ("a1.x", "${port}/${sys:zone}"), ("p-1", "one"), ("n", "1")];
    assert_eq!(good(&keys, "plain $ text } {"), "plain $ text } {");
    assert_eq!(good(&keys, "${env:PORT}"), "4141");
    assert_eq!(good(&keys, "<${a1.x}>"), "<4141/eu>");
    assert_eq!(good(&keys, " ${env:PORT} ${env:NONE:-}"), "4141", "trimmed when that is done, as Flume does");
    assert_eq!(good(&keys, "${ENV:PORT}${sys:user.home}"), "4141/h");
    assert_eq!(good(&keys, "${env:TEXT}"), "4141");
    assert_eq!(good(&keys, "${env:${env:NAME}} ${p-${n}}"), "4141 one");
    assert_eq!(good(&keys, "${base64Decoder:SGVsbG8gRmx1bWU=}|${base64Encoder:Hi}"), "Hello Flume|SGk=");
}

#[test]
fn a_default_stands_for_what_is_missing() {
    assert_eq!(good(&[], "${env:NONE:-9}"), "9");
    assert_eq!(good(&[], "${env:PORT:-9}"), "4141");
    assert_eq!(good(&[], "${none:-a:-b}"), "a:-b");
    assert_eq!(good(&[], "${none:-}"), "");
    assert_eq!(good(&[], "${env:NONE:-${env:NEITHER:-${env:PORT}}}"), "4141");
}

#[test]
fn what_is_missing_stays_as_it_is_and_is_told() {
    let (value, problems) = resolve(&[], "${env:NONE}/${sys:none}/${user}");
    assert_eq!(value, "${env:NONE}/${sys:none}/${user}");
    assert_eq!(
        problems,
        [
            "Ignored: there is no NONE in the environment, so the text stays as it is; ${name:-text} gives a default",
            "Ignored: there is no system property none, so the text stays as it is; ${name:-text} gives a default",
            "Warning: nothing is called user, so the text ${user} stays as it is",
        ]
    );
}

#[test]
fn what_is_no_reference_is_left_alone() {
    for text in ["$1", "${", "${env:PORT", "a${b${c}", "$", "$$", "}", "${f1['key']}", "${f1[key]}"] {
        let (value, problems) = resolve(&[("c", "C")], text);
        assert_eq!((value.as_str(), problems.len()), (text, 0));
    }
    // As in Flume: the escape is gone, whatever follows.
    assert_eq!(good(&[], "$${env:PORT}"), "${env:PORT}");
    assert_eq!(good(&[], "$${env:PORT"), "${env:PORT");
    assert_eq!(good(&[], "\u{e4}${env:PORT}\u{e4}"), "\u{e4}4141\u{e4}");
}

#[test]
fn references_that_contain_themselves_end() {
    let (_, problems) = resolve(&[("a", "${b}"), ("b", "x${a}")], "${a}");
    assert_eq!(problems, ["Fatal: the reference contains itself: a -> b -> a"]);
    let doubled: Vec<(String, String)> =
        (0..40).map(|i| (format!("k{i}"), format!("${{k{}}}${{k{}}}", i + 1, i + 1))).collect();
    let doubled: Vec<(&str, &str)> = doubled.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let (_, problems) = resolve(&doubled, "${k0}");
    assert!(problems[0].starts_with("Fatal: the reference contains itself: k0 -> k1"), "{}", problems[0]);
    let (_, problems) = resolve(&doubled, "${k25}");
    assert!(
        problems.contains(&"Fatal: resolving the references takes more than 1000 others".to_owned()),
        "{problems:?}"
    );
    let long = "x".repeat(VALUE_BYTES_MAX / 2 + 1);
    let (_, problems) = resolve(&[("long", &long)], "${long}${long}");
    assert_eq!(problems, ["Fatal: with its references resolved the value has more than 262144 bytes"]);
}

#[test]
fn files_are_read_and_their_absence_is_a_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, "s3cret\n").unwrap();
    let path = path.display();
    assert_eq!(good(&[], &format!("${{file:UTF-8:{path}}}")), "s3cret", "as the line end is trimmed");
    std::fs::write(dir.path().join("p"), "a.b = 1\nc d\n").unwrap();
    let p = dir.path().join("p");
    assert_eq!(good(&[], &format!("${{properties:{}::a.b}}", p.display())), "1");
    assert_eq!(good(&[], &format!("${{properties:{}::none:-2}}", p.display())), "2");
    let (_, problems) = resolve(&[], "${file:UTF-8:/none/at/all:-default}");
    assert!(problems[0].starts_with("Dropped: cannot read /none/at/all: No such file"), "{problems:?}");
    for (value, problem) in [
        ("${file:UTF-16:/x}", "files are read as UTF-8 or US-ASCII, not as UTF-16"),
        ("${file:/x}", "a reference to a file is written as ${file:UTF-8:/path}"),
        ("${properties:/x}", "a reference to a property of a file is written as"),
        ("${java:version}", "${java:version} tells of a Java machine, and there is none here"),
        ("${const:java.lang.Integer.MAX_VALUE}", "references of the kind const: are not supported"),
        ("${date:QQ:-x}", "QQ is no pattern for a date: Q is not a letter of dates"),
        ("${base64Decoder:?}", "? is not text in Base64"),
        ("${base64Decoder:A}", "A is not text in Base64"),
    ] {
        let (_, problems) = resolve(&[], value);
        assert!(problems.len() == 1 && problems[0].contains(problem), "{value}: {problems:?}");
    }
}

#[test]
fn dates_are_those_of_the_reading() {
    let year = good(&[], "${date:yyyy}");
    assert!(year.len() == 4 && year.as_str() >= "2026", "{year}");
    assert_eq!(good(&[], "${date:'at' 'once'}|${date:}|"), "at once||");
    assert_eq!(good(&[("p", "'x'")], "${none:-${DATE:${p}'y':-z}}"), "x'y");
    assert_eq!(good(&[], "a${sys:file.separator}b${sys:path.separator}c${sys:line.separator}d"), "a/b:c\nd");
    if let Ok(release) = std::fs::read_to_string("/proc/sys/kernel/osrelease") {
        assert_eq!(good(&[], "${sys:os.version}"), release.trim());
    }
}

#[test]
fn names_come_from_the_environment_if_flume_was_told_so() {
    let entries = BTreeMap::new();
    let options = Options::new().with_environment(|name| (name == "PORT").then(|| "1".to_owned()));
    let raw = Raw { value: "${PORT}".to_owned(), origin: Origin::line("f", 1) };
    let resolved = |options: &Options| Resolver::new(&entries, options).resolve(&raw).value;
    assert_eq!(resolved(&options), "${PORT}");
    let options = options.with_property("propertiesImplementation", "org.apache.flume.node.EnvVarResolverProperties");
    assert_eq!(resolved(&options), "1");
}

#[test]
fn messages_show_what_is_written_and_nothing_of_what_it_stands_for() {
    for (value, expected) in [
        ("${base64Decoder:${env:SECRET}}", "Dropped: ${env:SECRET} is not text in Base64"),
        ("${env:${env:SECRET}}", "Ignored: there is no ${env:SECRET} in the environment"),
        ("${sys:${env:SECRET}}", "Ignored: there is no system property ${env:SECRET}"),
        ("${${env:SECRET}}", "Warning: nothing is called ${env:SECRET}, so the text ${${env:SECRET}} stays"),
        ("${file:${env:SECRET}:/x}", "Dropped: files are read as UTF-8 or US-ASCII, not as ${env:SECRET}:/x"),
        ("${file:UTF-8:/none/${env:SECRET}}", "Dropped: cannot read UTF-8:/none/${env:SECRET}: No such file"),
        ("${properties:/none/${env:SECRET}::k}", "Dropped: cannot read /none/${env:SECRET}::k: No such file"),
        ("${env:TRAP}", "Warning: what ${env:TRAP} stands for has a reference that cannot be resolved"),
        // The default is resolved once more.
        (
            "${none:-$${x${env:SECRET}}}",
            "Warning: what ${none:-$${x${env:SECRET}}} stands for has a reference that cannot be resolved",
        ),
    ] {
        let (_, problems) = resolve(&[], value);
        assert!(problems.len() == 1 && problems[0].starts_with(expected), "{value}: {problems:?}");
        assert!(!problems[0].contains("s3cret"), "{value}: {problems:?}");
    }
}

/// Goal: a short file does not become a large one by its references. Method: many keys refer to one long value, directly or as the
/// name of something that does not exist.
#[test]
fn references_that_bring_in_too_much_in_all_are_told_at_the_key_that_is_too_much() {
    let long = "x".repeat(250_000);
    for value in ["${big}", "${${big}:-y}"] {
        let keys = (0..8000).map(|key| format!("a1.sources.r1.h{key:04} = {value}\n")).collect::<Vec<_>>().concat();
        let text = format!("a1.sources = r1\nbig = {long}\n{keys}");
        let properties = Properties::parse("f", text.as_bytes()).unwrap();
        let error = properties.plan("a1", &Options::new().lenient()).unwrap_err();
        let message = "with this value all references bring in more than 16777216 bytes";
        assert_eq!(error.to_string(), format!("agent a1: f:70: a1.sources.r1.h0067 = {value}: {message}"));
    }
}

#[test]
fn references_may_bring_in_exactly_as_many_bytes_as_there_may_be() {
    let told = |references: usize| {
        // Each costs a 64th of what there may be.
        let big = "x".repeat(REFERENCES_BYTES_MAX / 64 - "big".len());
        let keys: Vec<String> = (0..references).map(|key| format!("a1.sources.r1.h{key:04} = ${{big}}\n")).collect();
        let text = format!("a1.sources = r1\nbig = {big}\n{}", keys.concat());
        let properties = Properties::parse("f", text.as_bytes()).unwrap();
        let plan = properties.plan("a1", &Options::new().lenient());
        plan.is_err_and(|error| error.to_string().contains("bring in more than"))
    };
    assert_eq!((told(64), told(65)), (false, true));
}

/// Goal: a short value does not make a flood of messages. Method: references to a key that is made of references to itself.
#[test]
fn references_that_contain_themselves_are_told_no_more_often_than_there_may_be_references() {
    let (b, c) = ("${c}".repeat(99), "${c}".repeat(99));
    let (_, problems) = resolve(&[("b", &b), ("c", &c)], &"${b}".repeat(99));
    let told = problems.iter().filter(|problem| problem.contains("the reference contains itself")).count();
    assert!(told > 900 && problems.len() <= REFERENCES_MAX + 1, "{told} of {}", problems.len());
}

/// Goal: a short file does not become long messages. Method: names of 100,000 characters, in the message of each of many references.
#[test]
fn messages_are_part_of_what_references_may_bring_in() {
    let name = "n".repeat(100_000);
    let itself = "${b}".repeat(999);
    let foreign = format!("${{base64Decoder:{}}}", base64_encode(format!("{itself}{name}").as_bytes()));
    for (pairs, value) in
        [([(name.as_str(), "${b}"), ("b", &itself)], format!("${{{name}}}")), ([("x", ""), ("y", "")], foreign)]
    {
        let (_, problems) = resolve(&pairs, &value);
        let bytes: usize = problems.iter().map(String::len).sum();
        assert!(bytes < REFERENCES_BYTES_MAX + (1 << 20), "{bytes} bytes of messages");
        assert!(
            problems.iter().any(|problem| problem.starts_with("Fatal: with this value all references bring in more"))
        );
    }
}
