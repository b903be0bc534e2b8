use std::collections::BTreeMap;

use super::super::lookup::Mentions;
use super::*;
use crate::config::Properties;

/// The value of `a1.sources.s1.x` behind the filters, and all problems.
fn filtered(filters: &str, value: &str) -> (String, Vec<String>) {
    let options = Options::new().with_environment(|name| (name == "KEY-1").then(|| "from env".to_owned()));
    let text = format!("{filters}\na1.sources = s1\na1.sources.s1.x = {value}\n");
    let properties = Properties::parse("f", text.as_bytes()).unwrap();
    let mut problems = Vec::new();
    let entry = |(key, raw): (&String, &crate::config::file::Raw)| {
        let entry = super::super::keys::Entry { value: raw.value.clone(), written: raw.value.clone(), origin: None };
        (key.strip_prefix("a1.").unwrap().to_owned(), entry)
    };
    let mut sections = {
        let entries = properties.entries().iter().map(entry).collect();
        Sections::sort("a1", entries, &BTreeMap::new(), &Mentions::default(), &mut problems)
    };
    apply("a1", &mut sections, &options, &mut problems);
    let value = sections.of(Kind::Source)[0].entries["x"].value.clone();
    (value, problems.iter().map(ToString::to_string).collect())
}

#[test]
fn a_filter_gives_values_of_the_environment() {
    let env = "a1.configfilters = f1 other\na1.configfilters.f1.type = ENV\na1.configfilters.other.type=env";
    for value in ["${f1['KEY-1']}", "${f1[\"KEY-1\"]}", "${f1[KEY-1]}", "${other[KEY-1]}"] {
        assert_eq!(filtered(env, &format!("<{value}|{value}>")), ("<from env|from env>".to_owned(), vec![]));
    }
    for value in
        ["${f1['KEY-1\"]}", "${f1[]}", "${f1[KEY 1]}", "${f1[KEY-1}", "${f1[KEY-1]", "${f2[KEY-1]}", "$f1[KEY-1]"]
    {
        assert_eq!(filtered(env, value), (value.to_owned(), vec![]), "{value}");
    }
    let (value, problems) = filtered(env, "a ${f1['NONE']} b");
    assert_eq!(value, "a ${f1['NONE']} b");
    assert_eq!(
        problems,
        [
            "a1.sources.s1.x = a ${f1['NONE']} b: config filter f1: there is no NONE in the environment, so the text stays as it is"
        ]
    );
}

#[test]
fn a_filter_runs_a_program() {
    let external = |command: &str| {
        format!("a1.configfilters = f1\na1.configfilters.f1.type = external\na1.configfilters.f1.command = {command}")
    };
    assert_eq!(filtered(&external("echo got"), "${f1['KEY']}!"), ("got KEY!".to_owned(), vec![]));
    // The line as it is, with the blanks around it.
    let printed = external(r"printf \\040\\040got\\011\\r\\nsecond");
    assert_eq!(filtered(&printed, "[${f1['KEY']}]"), ("[  got\t]".to_owned(), vec![]));
    for (command, problem) in [
        ("true", "config filter f1: true: printed nothing for the key KEY"),
        ("false", "config filter f1: false: failed with exit status: 1 for the key KEY"),
        ("false --token s3cret", "config filter f1: false: failed with exit status: 1 for the key KEY"),
        ("/none/at/all", "config filter f1: /none/at/all: cannot be run: No such file or directory"),
    ] {
        let (value, problems) = filtered(&external(command), "${f1['KEY']}");
        assert_eq!(value, "${f1['KEY']}");
        assert!(problems.len() == 1 && problems[0].contains(problem), "{problems:?}");
    }
}

#[test]
fn a_program_may_print_in_another_character_set() {
    let external = |charset: &str, printed: &str| {
        let filter = "a1.configfilters.f1";
        // The program is `printf`, with an argument that says what it prints whatever the key is.
        format!(
            "a1.configfilters = f1\n{filter}.type = external\n{filter}.command = printf {printed}\n{filter}.charset = {charset}"
        )
    };
    for (charset, printed) in [
        ("ISO8859_1", r"\\351\\nsecond"),
        ("UTF-8", r"\\303\\251"),
        ("UTF-16", r"\\377\\376\\351\\000"),
        ("UTF-16", r"\\376\\377\\000\\351"),
        ("Cp1252", r"\\351"),
    ] {
        let filtered = filtered(&external(charset, printed), "${f1['KEY']}");
        assert_eq!(filtered, ("\u{e9}".to_owned(), vec![]), "{charset}");
    }
    let (_, problems) = filtered(&external("US-ASCII", r"\\351"), "${f1['KEY']}");
    assert!(
        problems.len() == 1 && problems[0].contains("printed no US-ASCII for the key KEY, so the text"),
        "{problems:?}"
    );
    let (_, problems) = filtered(&external("klingon", "x"), "${f1['KEY']}");
    assert!(
        problems.len() == 1 && problems[0].contains("charset = klingon: is no known character set"),
        "{problems:?}"
    );
}

#[test]
fn a_program_that_does_not_end_is_ended_whether_it_prints_or_not() {
    let script = |text: &str| ["sh", "-c", text].map(str::to_owned);
    let wait = Duration::from_millis(100);
    for text in ["exec sleep 1000", "echo 5; exec >&-; exec sleep 1000"] {
        assert_eq!(run(&script(text), Charset::UTF_8, "KEY", wait), Err("did not end within 0 s".to_owned()), "{text}");
    }
    assert_eq!(run(&script("echo 5; exec >&-; sleep 0.05"), Charset::UTF_8, "KEY", FILTER_WAIT), Ok("5".to_owned()));
}

#[test]
fn filters_that_do_not_exist_are_mistakes() {
    for (kind, problem) in [
        (
            "nosuch",
            "a1.configfilters.f1.type = nosuch: there is no such type of config filter; there are env and external",
        ),
        (
            "hadoop",
            "a1.configfilters.f1.type = hadoop: Hadoop's credential stores are not read; use a filter of type env or external",
        ),
    ] {
        let (_, problems) = filtered(&format!("a1.configfilters = f1\na1.configfilters.f1.type = {kind}"), "x");
        assert_eq!(problems, [problem]);
    }
    let (_, problems) =
        filtered("a1.configfilters = f1\na1.configfilters.f1.type = external\na1.configfilters.f1.cmd=x", "x");
    assert_eq!(
        problems,
        ["a1.configfilters.f1.command: is missing", "a1.configfilters.f1.cmd: external has no such key"]
    );
}
