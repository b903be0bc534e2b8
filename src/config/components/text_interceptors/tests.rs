use super::super::testing::{interceptor, mistakes_of_interceptor};
use crate::event::Event;

fn body(kind: &str, pairs: &[(&str, &str)], body: &'static str) -> Option<String> {
    let event = interceptor(kind, pairs).intercept(Event::new(body))?;
    Some(String::from_utf8(event.body().to_vec()).unwrap())
}

fn headers(kind: &str, pairs: &[(&str, &str)], event: Event) -> String {
    let event = interceptor(kind, pairs).intercept(event).unwrap();
    event.headers().iter().map(|(name, value)| format!("{name}={value};")).collect::<Vec<_>>().concat()
}

#[test]
fn regex_filter_has_the_keys_and_defaults_of_flume() {
    assert_eq!(body("REGEX_FILTER", &[], "x").as_deref(), Some("x"));
    assert_eq!(body("regex_filter", &[("regex", "^a")], "ba"), None);
    assert_eq!(body("regex_filter", &[("regex", "^a"), ("excludeEvents", "true")], "ab"), None);
    let class = "org.apache.flume.interceptor.RegexFilteringInterceptor$Builder";
    assert_eq!(body(class, &[("excludeEvents", "true")], "x"), None);
    assert_eq!(
        mistakes_of_interceptor("regex_filter", &[("regex", "a(?=b)"), ("excludeEvent", "true")]),
        [
            "a1.sources.r1.interceptors.i1.regex = a(?=b): pattern a(?=b): look-ahead (?= at character 2 is not supported",
            "a1.sources.r1.interceptors.i1.excludeEvent: regex_filter has no such key; is it excludeEvents?"
        ]
    );
}

#[test]
fn regex_extractor_has_the_keys_and_defaults_of_flume() {
    let pairs = [
        ("regex", r"^(\d) (\S+ \S+) (\w+)"),
        ("serializers", "s1 s2 s3"),
        ("serializers.s1.name", "number"),
        ("serializers.s2.type", "org.apache.flume.interceptor.RegexExtractorInterceptorMillisSerializer"),
        ("serializers.s2.name", "at"),
        ("serializers.s2.pattern", "yyyy-MM-dd HH:mm'Z'"),
        ("serializers.s3.type", "default"),
        ("serializers.s3.name", "level"),
    ];
    let found = headers("regex_extractor", &pairs, Event::new("7 1970-01-01 00:01Z WARN disk"));
    assert!(found.starts_with("number=7;at=") && found.ends_with(";level=WARN;"), "{found}");
    let mistakes = mistakes_of_interceptor(
        "regex_extractor",
        &[
            ("regex", "(a)(b)(c)"),
            ("serializers", "s1 s2 s3"),
            ("serializers.s1.type", "milis"),
            ("serializers.s1.name", "x"),
            ("serializers.s2.type", "millis"),
            ("serializers.s2.name", "x"),
            ("serializers.s2.pattern", "yyyy ww"),
            ("serializers.s4.name", "y"),
        ],
    );
    assert_eq!(mistakes.len(), 4, "{mistakes:#?}");
    assert!(mistakes[0].ends_with("; is it millis?"), "{mistakes:#?}");
    assert!(
        mistakes[1].contains("serializers.s2.pattern = yyyy ww: time pattern yyyy ww: the letter w"),
        "{mistakes:#?}"
    );
    assert!(mistakes[2].ends_with("serializers.s3.name: is missing"), "{mistakes:#?}");
    assert!(mistakes[3].contains("serializers.s4.name: regex_extractor has no such key"), "{mistakes:#?}");
    assert_eq!(mistakes_of_interceptor("regex_extractor", &[]).len(), 2);
}

#[test]
fn search_replace_has_the_keys_and_defaults_of_flume() {
    let pairs = [("searchPattern", r"^<(\d+)>"), ("replaceString", "$1: ")];
    assert_eq!(body("search_replace", &pairs, "<13>x").as_deref(), Some("13: x"));
    assert_eq!(body("search_replace", &pairs[..1], "<13>x").as_deref(), Some("x"));
    let mistakes = mistakes_of_interceptor(
        "search_replace",
        &[("searchPattern", "a"), ("replaceString", "$1"), ("charset", "no such")],
    );
    assert_eq!(
        mistakes,
        [
            "a1.sources.r1.interceptors.i1.charset = no such: is no known character set; give a name such as UTF-8 or ISO-8859-1",
            "a1.sources.r1.interceptors.i1.replaceString = $1: \
             pattern a: replacement $1: the pattern has no group 1",
        ]
    );
    assert_eq!(
        mistakes_of_interceptor("search_replace", &[]),
        ["a1.sources.r1.interceptors.i1.searchPattern: is missing"]
    );
}

#[test]
fn remove_header_has_the_keys_and_defaults_of_flume() {
    let event = || {
        let with = |event: Event, name: &str| event.with_header(name, "v").unwrap();
        ["a", "b", "c", "x1", "x22"].into_iter().fold(Event::new("x"), with)
    };
    let left = |pairs: &[(&str, &str)]| headers("remove_header", pairs, event());
    assert_eq!(left(&[]), "a=v;b=v;c=v;x1=v;x22=v;");
    assert_eq!(left(&[("withName", "a")]), "b=v;c=v;x1=v;x22=v;");
    assert_eq!(left(&[("fromList", "a , c"), ("matching", r"x\d")]), "b=v;x22=v;");
    assert_eq!(left(&[("fromList", "a;c"), ("fromListSeparator", ";")]), "b=v;x1=v;x22=v;");
    assert_eq!(mistakes_of_interceptor("remove_header", &[("matching", "("), ("fromListSeparator", "*")]).len(), 2);
    assert_eq!(mistakes_of_interceptor("remove_header", &[("matching", "(")]).len(), 1);
}

#[test]
fn uuid_has_the_keys_and_defaults_of_flume() {
    let class = "org.apache.flume.sink.solr.morphline.UUIDInterceptor$Builder";
    let old = Event::new("x").with_header("id", "old").unwrap();
    assert_eq!(headers(class, &[], old.clone()), "id=old;");
    let pairs = [("headerName", "key"), ("prefix", "p-"), ("preserveExisting", "false")];
    let made = headers(class, &pairs, old);
    assert!(made.starts_with("id=old;key=p-"), "{made}");
}

#[test]
fn the_morphline_interceptor_is_named_as_missing() {
    let class = "org.apache.flume.sink.solr.morphline.MorphlineInterceptor$Builder";
    let mistakes = mistakes_of_interceptor(class, &[]);
    assert!(mistakes[0].contains("is not part of this crate; register one of your own"), "{mistakes:#?}");
}
