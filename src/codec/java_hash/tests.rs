use super::*;

fn order(names: &[&str], map: HeaderMap) -> String {
    let mut headers = Headers::new();
    for name in names {
        headers.insert(name, name).unwrap();
    }
    let mut out: Vec<String> = Vec::new();
    for_each_header(&headers, map, |index, name, value| {
        assert_eq!((index, name), (out.len(), value));
        out.push(name.to_owned());
        Ok::<(), ()>(())
    })
    .unwrap();
    out.join(" ")
}

#[test]
fn the_order_is_that_which_java_gives() {
    for (put, handed_out) in [
        ("", ""),
        ("one", "one"),
        ("timestamp host", "host timestamp"),
        ("host timestamp", "host timestamp"),
        ("Severity Facility host timestamp priority", "host Severity Facility priority timestamp"),
        // All are in one bucket.
        ("Aa BB C#", "Aa BB C#"),
        ("BB Aa", "BB Aa"),
        ("\u{1f980} j\u{f6}rg a", "a j\u{f6}rg \u{1f980}"),
        ("n12 n11 n10 n9 n8 n7 n6 n5 n4 n3 n2 n1", "n1 n2 n3 n4 n5 n6 n7 n8 n9 n10 n12 n11"),
        // Larger tables.
        ("n13 n12 n11 n10 n9 n8 n7 n6 n5 n4 n3 n2 n1", "n1 n2 n3 n4 n5 n6 n7 n8 n9 n10 n12 n11 n13"),
        (
            "AaAa BBBB AaBB BBAa x y z n1 n2 n3 n4 n5 n6 n7 n8 n9 n10 n11 n12 n13 n14 n15 n16",
            "n1 n2 n3 n4 n5 n6 n7 n8 n9 n10 n12 n11 n14 n13 n16 n15 x y z AaAa BBBB AaBB BBAa",
        ),
    ] {
        let names: Vec<&str> = put.split_terminator(' ').collect();
        assert_eq!(order(&names, HeaderMap::Filled), handed_out, "{put}");
    }
}

#[test]
fn a_copy_has_the_order_of_its_own_size() {
    for (put, filled, of_list, of_map, filled_up) in [
        ("one", "one", "one", "one", "one"),
        ("f b", "b f", "f b", "b f", "f b"),
        ("b f", "b f", "b f", "b f", "b f"),
        (
            "Facility Severity priority",
            "Severity Facility priority",
            "Severity Facility priority",
            "Severity Facility priority",
            "priority Severity Facility",
        ),
        ("f b j n r v", "b r f v j n", "b r f v j n", "b r f v j n", "b j r f n v"),
    ] {
        let names: Vec<&str> = put.split(' ').collect();
        let copy = |of_map, added| order(&names, HeaderMap::Copied { of_map, added });
        assert_eq!(order(&names, HeaderMap::Filled), filled, "{put}");
        assert_eq!(copy(false, 0), of_list, "{put}");
        assert_eq!(copy(true, 0), of_map, "{put}");
        // Of a list, whose last one was put into the copy.
        assert_eq!(copy(false, 1), filled_up, "{put}");
        assert_eq!(copy(false, names.len()), filled, "{put}: of an empty list");
    }
}

#[test]
fn what_was_put_into_a_copy_comes_last_in_its_bucket() {
    let map = HeaderMap::Copied { of_map: true, added: 1 };
    assert_eq!(order(&["1043", "added"], map), "1043 added");
    // A copy has the order of the map of which it was made.
    assert_eq!(order(&["f", "b", "v"], map), "b f v");
}

#[test]
fn tables_grow_where_java_lets_them_grow() {
    let of_map = [0, 1, 12, 13, 24, 25, 48, 49].map(|headers| HeaderMap::Filled.buckets(headers));
    assert_eq!(of_map, [16, 16, 16, 32, 32, 64, 64, 128]);
    assert_eq!([12, 13].map(buckets_of_map), [16, 32]);
    assert_eq!([0, 1, 11, 12, 23, 24].map(buckets_of_set), [16, 16, 16, 32, 32, 64]);
}
