//! Names that Java has for character encodings, and the Encoding Standard has not, or has for another one.

/// The name by which an encoding is known here, of one that Java has for it; `label` itself if it is none. Both in lower
/// case.
pub(super) fn canonical(label: &str) -> &str {
    // Java writes 8859_2 and ISO8859_2, as it has done from the beginning.
    let part = label.strip_prefix("iso").unwrap_or(label).trim_start_matches(['-', '_']);
    let number = part.strip_prefix("8859").map(|rest| rest.trim_start_matches(['-', '_']));
    if let Some((_, name)) = ISO_8859.iter().find(|(of, _)| number == Some(of)) {
        return name;
    }
    // Code pages of IBM and Microsoft: 912, cp912, ibm912, ibm-912.
    let page = ["cp", "ibm-", "ibm"].into_iter().find_map(|prefix| label.strip_prefix(prefix)).unwrap_or(label);
    if let Some((_, name)) = PAGES.iter().find(|(of, _)| *of == page) {
        return name;
    }
    OTHERS.iter().find(|(_, names)| names.contains(&label)).map_or(label, |(name, _)| name)
}

const ISO_8859: [(&str, &str); 12] = [
    ("1", "iso-8859-1"),
    ("2", "iso-8859-2"),
    ("3", "iso-8859-3"),
    ("4", "iso-8859-4"),
    ("5", "iso-8859-5"),
    ("6", "iso-8859-6"),
    ("7", "iso-8859-7"),
    ("8", "iso-8859-8"),
    ("9", "iso-8859-9"),
    ("13", "iso-8859-13"),
    ("15", "iso-8859-15"),
    ("16", "iso-8859-16"),
];

const PAGES: [(&str, &str); 19] = [
    ("367", "us-ascii"),
    ("813", "iso-8859-7"),
    ("819", "iso-8859-1"),
    ("866", "ibm866"),
    ("912", "iso-8859-2"),
    ("913", "iso-8859-3"),
    ("914", "iso-8859-4"),
    ("915", "iso-8859-5"),
    ("916", "iso-8859-8"),
    ("920", "iso-8859-9"),
    ("923", "iso-8859-15"),
    ("936", "gbk"),
    ("1089", "iso-8859-6"),
    ("1252", "windows-1252"),
    ("5346", "windows-1250"),
    ("5347", "windows-1251"),
    ("5348", "windows-1252"),
    ("5349", "windows-1253"),
    ("5350", "windows-1254"),
];

const OTHERS: [(&str, &[&str]); 20] = [
    (
        "us-ascii",
        &[
            "646",
            "ansi_x3.4-1968",
            "ansi_x3.4-1986",
            "ascii",
            "ascii7",
            "csascii",
            "default",
            "iso-ir-6",
            "iso646-us",
            "iso_646.irv:1983",
            "iso_646.irv:1991",
            "us",
        ],
    ),
    ("iso-8859-1", &["csisolatin1", "iso-ir-100", "iso88591", "iso_8859-1:1987", "l1", "latin1"]),
    ("iso-8859-9", &["csisolatin5", "iso-ir-148", "iso88599", "iso_8859-9:1989", "l5", "latin5"]),
    ("iso-8859-15", &["csiso885915", "csisolatin0", "iso8859_15_fdis", "latin-9", "latin0", "latin9"]),
    ("iso-8859-16", &["csiso885916", "iso-ir-226", "iso_8859-16:2001", "l10", "latin10"]),
    ("utf-16", &["unicode", "unicodebig", "utf16", "utf_16"]),
    ("utf-16be", &["iso-10646-ucs-2", "unicodebigunmarked", "utf_16be", "x-utf-16be"]),
    ("utf-16le", &["unicodelittleunmarked", "utf_16le", "x-utf-16le"]),
    ("windows-1251", &["ansi-1251"]),
    ("windows-1257", &["cp5353"]),
    ("windows-874", &["iso8859_11", "ms-874", "ms874", "tis620", "tis620.2533", "x-iso-8859-11", "x-windows-874"]),
    ("koi8-u", &["koi8_u"]),
    ("macintosh", &["macroman", "x-macroman"]),
    ("x-mac-cyrillic", &["maccyrillic", "macukraine", "x-maccyrillic", "x-macukraine"]),
    ("big5", &["big5_hkscs", "big5hk", "big5hkscs", "ms950", "windows-950", "x-windows-950"]),
    ("euc-jp", &["euc_jp", "eucjis", "eucjp", "extended_unix_code_packed_format_for_japanese", "x-eucjp"]),
    (
        "euc-kr",
        &["5601", "euc_kr", "euckr", "ksc5601-1987", "ksc5601_1987", "ms949", "ms_949", "windows949", "x-windows-949"],
    ),
    ("gb18030", &["gb18030-2022"]),
    (
        "gbk",
        &[
            "euc-cn",
            "euc_cn",
            "euccn",
            "gb2312-1980",
            "gb2312-80",
            "ms936",
            "ms_936",
            "windows-936",
            "x-euc-cn",
            "x-mswin-936",
        ],
    ),
    ("shift_jis", &["cswindows31j", "windows-932"]),
];
