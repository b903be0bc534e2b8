//! Input that no standard describes, and what stands for something else in a file.

use super::{Run, any_order, exact, same};
use crate::process::{post, send_tcp, send_udp};

#[test]
fn syslog_in_formats_of_ones_own() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        send_tcp(
            run.port,
            b"<13>[2026/11/28 13:05:09] web-1 hello\n<14>3[2026/13/28 13:05:09 more] web-2 x\n<15>[2026/1/2 3:4:5] host\n\
              <15>[2026/1/2 3:4:5] \n<13>Aug 25 10:00:00 web-1 app: rfc\n",
        );
        run.await_lines(&mut agent, 5);
        // Flume keeps priority and version for the next message of a connection that has none: each has its own here.
        send_tcp(run.port, b"<15>[nonsense] h body\n");
        send_tcp(run.port, b"<999>[2026/11/28 1:2:3] h p\n");
        send_tcp(run.port, b"<13>other\n");
        send_tcp(run.port, b"no priority\n");
        run.await_lines(&mut agent, 9);
        send_udp(
            run.port2,
            &[
                b"<13>Sat, 28 Nov 26 1:05:09,7 PM +0100 web-1 hello",
                b"<14>v2 Saturday, 3 january 2026 12:00:00,000 AM GMT+01:00 web-2 hello",
                b"<14>v2 Sat, 3 Smarch 2026 12:00:00,000 AM +0000 web-2 no date",
            ],
        );
        run.await_lines(&mut agent, 12);
        agent.stop();
    };
    same("syslog-format", drive, any_order);
}

#[test]
fn json_as_gson_takes_it() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        for text in [
            "[{'headers':{},'body':'x'}]",
            "[{headers:{a:b},body:text}]",
            r#"[{"body":"a"};{"body":"b";"headers":{"x":"y"}}]"#,
            r#"[{"body"="a","headers"=>{c=1;d=>TRUE}}]"#,
            "[{/*c*/\"body\"://x\n\"a\"#y\n}]",
            ")]}'\n[{\"body\":\"a\"}]",
            r#"[{"body":NaN,"headers":{"n":-Infinity,"x":012,"y":.5,"z":0x1F,"t":tru}}]"#,
            "[{\"body\":\"a tab\t and \\'\\ud834\\udd1e\\ud800\"}]",
            r#"[{"body":'a"b',"headers":{null:"v",true:'it\'s'}}]"#,
            r#"[{"headers":[["a","b"],["c",1]],"body":"pairs"}]"#,
            r#"[{"headers":[],"body":nUlL}]"#,
            "[{x:[1,,{y:[;]},'z',],body:un-quo.ted_1}]",
            "[{body:x\n}\r,\n{}] \r\n",
        ] {
            assert_eq!(post(run.port, "/", "application/json", text.as_bytes()), 200, "{:?}: {text}", run.side);
        }
        let deep = format!("[{{x:{}{},body:deep}}]", "[".repeat(1000), "]".repeat(1000));
        assert_eq!(post(run.port, "/", "application/json", deep.as_bytes()), 200);
        for text in [
            r#"[{"body":"a",}]"#,
            r#"[{"body":"a"}] []"#,
            "[] # end",
            r#"[{"body":"\x41"}]"#,
            "[{body:unquoted text}]",
            "[{body:a/b}]",
            r#"[{"headers":["a"]}]"#,
            "[{headers:{a:1,'a':2}}]",
            "[{,body:a}]",
            "[{},\u{a0}]",
        ] {
            assert_eq!(post(run.port, "/", "application/json", text.as_bytes()), 400, "{:?}: {text}", run.side);
        }
        run.await_lines(&mut agent, 16);
        agent.stop();
    };
    same("http-json", drive, exact);
}

#[test]
fn references_to_dates_and_to_the_system() {
    let drive = |run: &Run| {
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 2);
        agent.stop();
    };
    same("references", drive, exact);
}

#[test]
fn syslog_with_dates_that_do_not_exist() {
    let drive = |run: &Run| {
        let mut agent = run.listening("a1");
        for date in ["Oct 32 10:00:00", "Oct 00 10:00:00", "Feb 30 10:00:00", "Xyz 30 10:00:00", "Nov 25 25:61:61"] {
            send_tcp(run.port, format!("<13>{date} host text\n").as_bytes());
        }
        run.await_lines(&mut agent, 5);
        agent.stop();
    };
    same("syslog-multiport", drive, any_order);
}

#[test]
fn spool_dir_passes_over_what_was_completed_by_renaming() {
    let drive = |run: &Run| {
        run.drop_file("a.log", b"a1\r\na2");
        run.drop_file("old.log.COMPLETED", b"delivered long ago\n");
        run.drop_file("sub/b.log", b"b1\n");
        let mut agent = run.start("a1");
        run.await_lines(&mut agent, 3);
        run.drop_file("c.log", b"c1\n");
        run.await_lines(&mut agent, 4);
        agent.stop();
        assert!(run.input.join("old.log.COMPLETED").exists() && run.input.join("a.log").exists(), "{:?}", run.side);
    };
    same("spool-tracker", drive, any_order);
}
