use super::super::problem::Refused;
use super::*;

fn keys(pairs: &[(&'static str, &'static str)]) -> Keys {
    Keys::of("a1.sources.r1.", pairs.iter().copied())
}

fn finish(keys: Keys) -> Vec<String> {
    keys.finish("netcat").iter().map(ToString::to_string).collect()
}

#[test]
fn every_type_is_read_as_java_writes_it() {
    let mut keys = keys(&[
        ("text", "a b"),
        ("number", "+7"),
        // As a config filter may give them.
        ("blanks", " 7\t"),
        ("blank flag", "true "),
        ("below", "-7"),
        ("yes", "TRUE"),
        ("no", "False"),
        ("ms", "1500"),
        ("s", "0"),
        ("names", " a  b\tc "),
        ("word", "Round_Robin"),
    ]);
    assert_eq!(keys.text("text", "x"), "a b");
    assert_eq!(keys.text("none", "x"), "x");
    assert_eq!(keys.optional("none"), None);
    assert_eq!(keys.number("number", 0..=10_u8, 1), 7);
    assert_eq!(keys.number("below", -10..=10, 1), -7);
    assert_eq!((keys.number("blanks", 0..=10_u8, 1), keys.flag("blank flag", false)), (7, true));
    assert_eq!(keys.optional_number("none", 0..=1_u64), None);
    assert_eq!((keys.flag("yes", false), keys.flag("no", true), keys.flag("none", true)), (true, false, true));
    assert_eq!(keys.millis("ms", 0..=2000, Duration::ZERO), Duration::from_millis(1500));
    assert_eq!(keys.seconds("s", 0..=u64::MAX, Duration::from_secs(3)), Duration::ZERO);
    assert_eq!(keys.list("names"), ["a", "b", "c"]);
    assert_eq!(keys.choice("word", &[("random", 1), ("round_robin", 2)], 0), 2);
    assert!(keys.is_good());
    assert_eq!(finish(keys), [""; 0]);
}

#[test]
fn every_mistake_names_key_value_and_what_is_expected() {
    let mut keys = keys(&[
        ("port", "70000"),
        ("many", "1e3"),
        ("long", "99999999999999999999"),
        ("empty", ""),
        ("ssl", "yes"),
        ("policy", "nevr"),
        ("order", "x"),
        ("keystore-password", "hunter two"),
        ("when", "noon"),
        ("note", "x".repeat(90).leak()),
    ]);
    keys.required_number("port", 0..=65535_u16);
    keys.number("many", 1..=u64::MAX, 1);
    keys.number("long", 0..=usize::MAX, 1);
    keys.number("empty", 0..=i64::MAX, 1);
    keys.flag("ssl", false);
    keys.choice("policy", &[("never", 0), ("immediate", 1)], 0);
    keys.choice("order", &[("oldest", 0), ("youngest", 1), ("random", 2)], 0);
    keys.number("keystore-password", 0..=1_u8, 0);
    assert_eq!(keys.parsed("when", |_| Err::<(), _>("is no time")), None);
    keys.mistake("note", "is long");
    keys.required("bind");
    keys.required_list("ports");
    keys.required_number("size", 3..=9_u32);
    assert!(!keys.is_good());
    let long = format!("a1.sources.r1.note = {}...: is long", "x".repeat(80));
    assert_eq!(
        finish(keys),
        [
            "a1.sources.r1.port = 70000: must be a number from 0 to 65535",
            "a1.sources.r1.many = 1e3: must be a number from 1 on",
            "a1.sources.r1.long = 99999999999999999999: must be a number from 0 to 9223372036854775807",
            "a1.sources.r1.empty = : must be a number from 0 on",
            "a1.sources.r1.ssl = yes: must be true or false; Flume takes it for false",
            "a1.sources.r1.policy = nevr: must be never or immediate; is it never?",
            "a1.sources.r1.order = x: must be oldest, youngest or random",
            "a1.sources.r1.keystore-password = (not shown): must be a number from 0 to 1",
            "a1.sources.r1.when = noon: is no time",
            long.as_str(),
            "a1.sources.r1.bind: is missing",
            "a1.sources.r1.ports: is missing",
            "a1.sources.r1.size: is missing",
        ]
    );
}

#[test]
fn keys_that_nobody_asked_for_are_mistakes_with_the_nearest_that_is_free() {
    let mut keys =
        keys(&[("Port", "1"), ("bind", "x"), ("bnd", "y"), ("headers.f.k", "v"), ("header.g.k", "w"), ("zzz", "1")]);
    keys.required_number("port", 0..=9_u8);
    keys.required("bind");
    assert_eq!(keys.sub("headers."), [("f.k".to_owned(), "v".to_owned())]);
    assert_eq!(
        finish(keys),
        [
            "a1.sources.r1.port: is missing",
            "a1.sources.r1.Port: netcat has no such key; is it port?",
            "a1.sources.r1.bnd: netcat has no such key",
            "a1.sources.r1.header.g.k: netcat has no such key; is it headers.g.k?",
            "a1.sources.r1.zzz: netcat has no such key",
        ]
    );
}

#[test]
fn a_part_reads_its_own_keys_and_its_mistakes_have_full_names() {
    let mut keys = keys(&[
        ("serializer", "text"),
        ("serializer.appendNewline", "maybe"),
        ("serializer.", "odd"),
        ("serializer.apendNewline", "1"),
        ("serializers", "x"),
    ]);
    assert_eq!(keys.text("serializer", ""), "text");
    let newline = keys.within("serializer.", |part| {
        assert!(!part.is_set("serializer"));
        part.flag("appendNewline", true)
    });
    assert!(!newline);
    assert_eq!(
        finish(keys),
        [
            "a1.sources.r1.serializer.appendNewline = maybe: must be true or false; Flume takes it for false",
            "a1.sources.r1.serializer.: netcat has no such key",
            "a1.sources.r1.serializer.apendNewline: netcat has no such key",
            "a1.sources.r1.serializers: netcat has no such key",
        ]
    );
}

#[test]
fn aliases_ignored_and_unsupported_keys_are_known() {
    let mut keys = keys(&[
        ("enableSSL", "true"),
        ("host", "a"),
        ("bind", "b"),
        ("threads", "4"),
        ("pool.x", "1"),
        ("enc.key", "k"),
    ]);
    keys.alias("enableSSL", "ssl");
    keys.alias("host", "bind");
    assert!(keys.flag("ssl", false));
    assert_eq!(keys.required("bind"), "b");
    keys.ignored(&["threads", "pool.", "other"], "changes nothing");
    assert!(keys.is_good());
    keys.unsupported(&["enc."], "there is no encryption");
    assert!(!keys.is_good());
    assert_eq!(
        finish(keys),
        [
            "a1.sources.r1.host = a: has no effect, since bind has a value, too",
            "a1.sources.r1.threads = 4: changes nothing",
            "a1.sources.r1.pool.x = 1: changes nothing",
            "a1.sources.r1.enc.key = k: there is no encryption",
        ]
    );
}

#[test]
fn a_refusal_counts_only_if_nothing_else_is_wrong() {
    let mut good = keys(&[("a", "1")]);
    good.warn("a", "is odd");
    let _: Refused = good.refuse("it cannot be");
    assert_eq!(finish(good), ["a1.sources.r1.a = 1: is odd", "a1.sources.r1: it cannot be"]);
    let mut bad = keys(&[]);
    bad.required("a");
    let _: Refused = bad.refuse("it cannot be");
    assert_eq!(finish(bad), ["a1.sources.r1.a: is missing"]);
}

#[test]
fn a_batch_size_remembers_who_chose_it() {
    let mut keys = keys(&[("batchSize", "7"), ("batch-size", "0")]);
    let chosen = keys.batch_size("batchSize", 100);
    assert_eq!((chosen.events(), chosen.given()), (7, Some("batchSize")));
    let default = keys.batch_size("other", 100);
    assert_eq!((default.events(), default.given()), (100, None));
    keys.batch_size("batch-size", 100);
    assert_eq!(finish(keys), ["a1.sources.r1.batch-size = 0: must be a number from 1 to 100000"]);
}
