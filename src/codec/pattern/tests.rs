use super::*;
use crate::testing::Random;

/// What the first match of `pattern` in `text` is.
fn found<'t>(pattern: &str, text: &'t str) -> Option<&'t str> {
    let pattern = Pattern::new(pattern).unwrap_or_else(|error| panic!("{error}"));
    let ranges = pattern.find(text)?;
    Some(&text[ranges[0].clone().unwrap()])
}

fn refusal(pattern: &str) -> String {
    Pattern::new(pattern).map_err(|error| error.reason).expect_err(pattern)
}

#[test]
fn classes_are_ascii_as_in_java() {
    assert_eq!(found(r"user=(\w+)@", "user=j\u{f6}rg@ user=anna@"), Some("user=anna@"));
    assert_eq!(found(r"\d+", "\u{663}\u{664} 12"), Some("12"));
    assert_eq!(found(r"\s", "\u{a0}"), None);
    assert_eq!(found(r"\h", "\u{a0}"), Some("\u{a0}"));
    assert_eq!(found(r"\W", "a\u{f6}"), Some("\u{f6}"));
    assert_eq!(found(r"[\W&&[^!]]+", "!\u{f6}\u{e4}!"), Some("\u{f6}\u{e4}"));
    assert_eq!(found(r"[^\d\s]+", "1 x\u{f6} 2"), Some("x\u{f6}"));
    assert_eq!(found(r"\p{Alpha}+", "\u{f6}ab1"), Some("ab"));
    assert_eq!(found(r"\p{IsAlphabetic}+", "1\u{f6}ab1"), Some("\u{f6}ab"));
    assert_eq!(found(r"\p{Lu}\P{Lu}", "aBc"), Some("Bc"));
    assert_eq!(found(r"\pN", "a\u{663}"), Some("\u{663}"));
    assert_eq!(found(r"[\p{Punct}]+", "a.,;b"), Some(".,;"));
    assert_eq!(found(r"\p{IsGreek}", "a\u{3b1}"), Some("\u{3b1}"));
}

#[test]
fn dot_and_anchors_know_the_line_terminators_of_java() {
    for end in ["", "\n", "\r", "\r\n", "\u{85}", "\u{2028}"] {
        let text = format!("an error{end}");
        assert_eq!(found("error$", &text), Some("error"), "{text:?}");
        assert_eq!(found(r"error\Z", &text), Some("error"), "{text:?}");
        assert_eq!(found(r"error\z", &text).is_some(), end.is_empty(), "{text:?}");
        assert_eq!(found("err.*", &text), Some("error"), "{text:?}");
        assert_eq!(found("(?s)err.*", &text), Some(&text[3..]), "{text:?}");
        assert_eq!(found(r"error\R", &text).is_some(), !end.is_empty(), "{text:?}");
    }
    assert_eq!(found("error$", "error\n\n"), None);
    assert_eq!(found("(?d)x$", "x\r"), None);
    assert_eq!(found("(?d)x.", "x\r"), Some("x\r"));
    assert_eq!(found("(?m)^b$", "a\r\nb\r\nc"), Some("b"));
    assert_eq!(found("^b", "a\nb"), None);
    assert_eq!(found("(?md)^b", "a\rb"), None);
    assert_eq!(found("(?m:^b)", "a\rb"), Some("b"));
}

#[test]
fn what_a_dollar_looks_at_is_in_no_group() {
    let pattern = Pattern::new(r"(a(\w+$))(x)?").unwrap();
    assert_eq!(pattern.find("-abc\r\n"), Some(vec![Some(1..4), Some(1..4), Some(2..4), None]));
    let shifted = Pattern::new("(?:$|(x))(y)").unwrap();
    assert_eq!(shifted.group_count(), 2);
    assert_eq!(shifted.find("xy"), Some(vec![Some(0..2), Some(0..1), Some(1..2)]));
}

#[test]
fn case_is_that_of_ascii_unless_unicode_is_asked_for() {
    assert_eq!(found("(?i)error", "ERRor"), Some("ERRor"));
    assert_eq!(found("(?i)k", "\u{212a}"), None);
    assert_eq!(found("(?iu)k", "\u{212a}"), Some("\u{212a}"));
    assert_eq!(found("(?i)\u{e9}", "\u{c9}"), None);
    assert_eq!(found("(?iu)\u{e9}", "\u{c9}"), Some("\u{c9}"));
    assert_eq!(found("(?i)[a-cX]+", "ABCabcxX"), Some("ABCabcxX"));
    assert_eq!(found("(?i)[^a]", "Ab"), Some("b"));
    assert_eq!(found("(?i:a)a", "AA Aa"), Some("Aa"));
    assert_eq!(found("(?iu)a(?-i:a)a", "AAA AaA"), Some("AaA"));
    assert_eq!(found("(a(?i)b)c", "aBC aBc"), Some("aBc"));
}

#[test]
fn escapes_and_quotations_stand_for_what_they_do_in_java() {
    assert_eq!(found(r"\Qa.b*\E+", "a.b**"), Some("a.b**"));
    assert_eq!(found(r"\Q(?=\E", "(?="), Some("(?="));
    assert_eq!(found(r"\Qa.", "a."), Some("a."));
    assert_eq!(found(r"\<a\>", "<a>"), Some("<a>"));
    assert_eq!(found(r"\x41\u0042\x{43}\0104\cA\e", "ABCD\u{1}\u{1b}"), Some("ABCD\u{1}\u{1b}"));
    assert_eq!(found(r"\uD83D\uDE00", "\u{1f600}"), Some("\u{1f600}"));
    assert_eq!(found(r"\v", "\u{2028}"), Some("\u{2028}"));
    assert_eq!(found(r"}]", "}]"), Some("}]"));
    assert_eq!(found(r"a-b&&c~~d", "a-b&&c~~d"), Some("a-b&&c~~d"));
    assert_eq!(found(r"(?x) a b # comment", "ab"), Some("ab"));
    assert_eq!(found(r"\bb\b", "ab b"), Some("b"));
    assert_eq!(found(r"\b{1,}b", "ab b"), Some("b"));
}

#[test]
fn classes_are_read_as_java_reads_them() {
    assert_eq!(found("[]a]+", "a]"), Some("a]"));
    assert_eq!(found("[^]a]+", "]ab"), Some("b"));
    assert_eq!(found("[a-]+", "-a"), Some("-a"));
    assert_eq!(found("[-a]+", "-a"), Some("-a"));
    assert_eq!(found("[+--]+", "+,-"), Some("+,-"));
    assert_eq!(found("[~~a]+", "~a"), Some("~a"));
    assert_eq!(found(r"[\]\[\\]+", r"[\]"), Some(r"[\]"));
    assert_eq!(found("[a-z&&[^aeiou]]+", "aebcd"), Some("bcd"));
    assert_eq!(found("[[:a]]+", ":a"), Some(":a"));
    assert_eq!(found(r"[\Q^]\E]+", "^]"), Some("^]"));
    assert_eq!(found(r"[\x00-\x1f]", "a\u{2}"), Some("\u{2}"));
    assert_eq!(found(r"[\w.-]+@", "anna.b-c@"), Some("anna.b-c@"));
    assert_eq!(found(r"[+-\d]+", "1-+"), Some("1-+"));
}

#[test]
fn what_cannot_be_supported_is_named() {
    let cases = [
        ("a(?=b)", "look-ahead (?= at character 2 is not supported"),
        ("a(?!b)", "negative look-ahead (?! at character 2 is not supported"),
        ("(?<=b)", "look-behind (?<= at character 1 is not supported"),
        ("(?<!b)", "negative look-behind (?<! at character 1 is not supported"),
        ("(?>b)", "atomic group (?> at character 1 is not supported"),
        (r"(a)\1", r"back-reference \1 at character 4 is not supported"),
        (r"(?<n>a)\k<n>", r"back-reference \k at character 8 is not supported"),
        ("ab*+c", "possessive quantifier at character 3 is not supported"),
        ("a{2}+", "possessive quantifier at character 2 is not supported"),
        (r"\Ga", r"\G, the end of the previous match, at character 1 is not supported"),
        (r"a\X", r"\X, a grapheme cluster, at character 2 is not supported"),
        (r"\N{SPACE}", r"\N{...}, a character by its name, at character 1 is not supported"),
        (r"\b{g}", r"\b{...} at character 1 is not supported"),
        (r"\p{InGreek}", r"\p{InGreek}, a Unicode block, at character 1 is not supported"),
        (r"\p{javaLowerCase}", r"\p{javaLowerCase}, a property of the Java language, at character 1 is not supported"),
        ("(?U)a", "flag U at character 1 is not supported"),
    ];
    for (pattern, reason) in cases {
        assert_eq!(refusal(pattern), reason);
    }
}

#[test]
fn what_is_malformed_is_an_error_that_says_where() {
    let cases = [
        ("*a", "nothing to repeat before * at character 1"),
        ("a|+", "nothing to repeat before + at character 3"),
        ("a**", "nothing to repeat before * at character 3"),
        ("a{,3}", "{ at character 2 begins no {n}, {n,} or {n,m}"),
        ("a{", "{ at character 2 begins no {n}, {n,} or {n,m}"),
        ("(a", "a group is not closed"),
        ("a)", "unmatched ) at character 2"),
        ("[a", "the class at character 1 is not closed"),
        ("[b-a]", "the range that ends at character 4 of the pattern goes backwards"),
        ("a\\", "a backslash at the end escapes nothing"),
        (r"\y", r"\y at character 1 is no escape sequence"),
        (r"[\b]", r"\b at character 2 has no meaning in a class"),
        (r"\x4", "2 hexadecimal digits must follow at character 1"),
        (r"\x{110000}", r"\x{ at character 1 names no character"),
        (r"\uD83D", "the escape at character 1 stands for no character"),
        (r"\08", r"\0 at character 1 is followed by no octal digit"),
        ("(?<1>a)", "the group at character 1 has no name of its own"),
        ("(?<a>a)(?<a>b)", "the group at character 8 has no name of its own"),
        ("(?q)", "( at character 1 is followed by ? and no known flag"),
        (r"\p{", r"\p at character 1 names no property"),
        (r"\p{NoSuch}", "Unicode property not found"),
    ];
    for (pattern, reason) in cases {
        assert_eq!(refusal(pattern), reason, "{pattern}");
    }
    assert!(refusal("(?:a{1000}){1000}").contains("size limit"), "{}", refusal("(?:a{1000}){1000}"));
    assert!(refusal(&"(".repeat(PATTERN_BYTES_MAX + 1)).contains("over the limit"));
    let deep = format!("{}a{}", "[".repeat(1000), "]".repeat(1000));
    assert!(refusal(&deep).contains("within more than"));
}

#[test]
fn no_text_makes_the_translation_panic() {
    let alphabet = [
        "(", ")", "[", "]", "{", "}", "?", "*", "+", "|", "^", "$", ".", "\\", "-", "&&", "a", "1", "<", ">", ":", "i",
        "Q", "E", "p", "x", "u", "=", "!", "\u{e9}", ",", "0", " ", "#",
    ];
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let mut random = Random::new(seed);
    let mut good = 0;
    for _ in 0..20_000 {
        let length = 1 + random.below(12);
        let pattern: String = (0..length).map(|_| alphabet[random.index(alphabet.len())]).collect();
        if let Ok(pattern) = Pattern::new(&pattern) {
            good += 1;
            let _ = pattern.find("a1 (x)\r\n");
        }
    }
    assert!(good > 1000, "{good}");
}

#[test]
fn a_whole_pattern_matches_whole_texts_only() {
    let name = Pattern::whole("app|log").unwrap();
    assert!(name.is_match("app") && name.is_match("log"));
    assert!(!name.is_match("apps") && !name.is_match("a log") && !name.is_match("app\n"));
    assert!(Pattern::whole("app$").unwrap().is_match("app"));
    assert!(!Pattern::whole("app$").unwrap().is_match("app\n"));
    assert!(Pattern::whole("a)(b").is_err());
}

#[test]
fn a_text_is_split_as_by_java() {
    let comma = Pattern::new(r"\s*,\s*").unwrap();
    assert_eq!(comma.split("a , b,c"), ["a", "b", "c"]);
    assert_eq!(comma.split(",a,,b,,"), ["", "a", "", "b"]);
    assert_eq!(comma.split("a"), ["a"]);
    assert_eq!(comma.split(""), [""]);
    assert_eq!(Pattern::new("").unwrap().split("abc"), ["a", "b", "c"]);
}

#[test]
fn a_replacement_is_made_of_text_and_groups() {
    let replace = |pattern: &str, template: &str, text: &str| {
        let pattern = Pattern::new(pattern).unwrap();
        Replacement::new(template, &pattern).map(|replacement| replacement.replace_all(text))
    };
    let replaced = |pattern, template, text| replace(pattern, template, text).unwrap().unwrap();
    assert_eq!(replaced(r"(\d)(\d)", "$2$1", "12 34"), "21 43");
    assert_eq!(replaced("(a)", "$12", "a"), "a2");
    assert_eq!(replaced("(a)|b", "[$1]", "ab"), "[a][]");
    assert_eq!(replaced("a", r"\$1\\", "a"), r"$1\");
    assert_eq!(replaced("(?<x>a)", "${x}${x}", "a"), "aa");
    assert_eq!(replaced("a$", "b", "a\r\n"), "b\r\n");
    assert_eq!(replaced("x*", "-", "ab"), "-a-b-");
    // As Java has it: behind a match there is an empty one.
    assert_eq!(replaced(".*", "x", "ab"), "xx");
    assert_eq!(replaced("a*", "-", "baaü"), "-b--ü-");
    assert_eq!(replaced("$", "-", "a\n"), "a-\n-");
    assert_eq!(replaced("a", "", "banana"), "bnn");
    assert_eq!(replace("z", "", "banana").unwrap(), None);
    for (template, reason) in [
        ("$2", "replacement $2: the pattern has no group 2"),
        ("${y}", "replacement ${y}: the pattern has no group y"),
        ("${x", "replacement ${x: ${x is not closed"),
        ("a\\", "replacement a\\: a backslash at the end escapes nothing"),
        ("$", "replacement $: a $ is followed by neither a number nor a {name}; write \\$ for the sign itself"),
    ] {
        assert_eq!(replace("(?<x>a)", template, "").unwrap_err().reason, reason);
    }
}
