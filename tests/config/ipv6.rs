//! IPv6: clients of sources that listen at all interfaces, and addresses of sinks and clients.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use super::network::{lines, start};
use aqueduct::config::Options;
use aqueduct::rpc::RpcClient;
use aqueduct::{Drain, Event};

const HANG: Duration = Duration::from_secs(60);

/// Ports that were free a moment ago, in both families: six of TCP and one of UDP.
fn free_ports() -> [u16; 7] {
    let tcp = [(); 6].map(|()| TcpListener::bind("[::]:0").unwrap());
    let udp = UdpSocket::bind("[::]:0").unwrap();
    let [avro, thrift, http, netcat, syslog, multiport] = tcp.map(|listener| listener.local_addr().unwrap().port());
    [avro, thrift, http, netcat, syslog, multiport, udp.local_addr().unwrap().port()]
}

/// Sources of all kinds at `host`, and a sink of each kind, with an event of its own, that sends to one of them by IPv6.
fn conf(dir: &Path, host: &str, [avro, thrift, http, netcat, syslog, multiport, udp]: [u16; 7]) -> String {
    let mut conf = format!(
        "a1.sources = avro thrift http netcat syslog multiport udp sa st sh
a1.channels = all ca ct ch
a1.sinks = out ka kt kh
a1.sources.avro.type = avro
a1.sources.avro.bind = {host}
a1.sources.avro.port = {avro}
a1.sources.thrift.type = thrift
a1.sources.thrift.bind = {host}
a1.sources.thrift.port = {thrift}
a1.sources.http.type = http
a1.sources.http.bind = {host}
a1.sources.http.port = {http}
a1.sources.netcat.type = netcat
a1.sources.netcat.bind = {host}
a1.sources.netcat.port = {netcat}
a1.sources.syslog.type = syslogtcp
a1.sources.syslog.host = {host}
a1.sources.syslog.port = {syslog}
a1.sources.syslog.clientIPHeader = ip
a1.sources.multiport.type = multiport_syslogtcp
a1.sources.multiport.host = {host}
a1.sources.multiport.ports = {multiport}
a1.sources.multiport.clientIPHeader = ip
a1.sources.udp.type = syslogudp
a1.sources.udp.host = {host}
a1.sources.udp.port = {udp}
a1.sources.udp.clientIPHeader = ip
a1.channels.all.type = memory
a1.sinks.out.type = file_roll
a1.sinks.out.channel = all
a1.sinks.out.sink.directory = {0}
a1.sinks.out.sink.batchSize = 1
a1.sinks.out.sink.serializer = header_and_text
a1.sinks.ka.type = avro
a1.sinks.ka.hostname = ::1
a1.sinks.ka.port = {avro}
a1.sinks.kt.type = thrift
a1.sinks.kt.hostname = [::1]
a1.sinks.kt.port = {thrift}
a1.sinks.kh.type = http
a1.sinks.kh.endpoint = http://[::1]:{http}/
a1.sinks.kh.format = json
",
        dir.display()
    );
    let sources = ["avro", "thrift", "http", "netcat", "syslog", "multiport", "udp"];
    conf.extend(sources.map(|source| format!("a1.sources.{source}.channels = all\n")));
    conf.extend(["a", "t", "h"].map(|way| {
        format!(
            "a1.sources.s{way}.type = seq
a1.sources.s{way}.totalEvents = 1
a1.sources.s{way}.channels = c{way}
a1.sources.s{way}.interceptors = i
a1.sources.s{way}.interceptors.i.type = static
a1.sources.s{way}.interceptors.i.key = by
a1.sources.s{way}.interceptors.i.value = sink {way}
a1.channels.c{way}.type = memory
a1.sinks.k{way}.channel = c{way}
"
        )
    }));
    conf
}

/// Whether the system has IPv6, and a socket of it takes clients of IPv4, which an administrator can turn off.
fn serves_both() -> bool {
    TcpListener::bind("[::]:0").is_ok_and(|socket| {
        let port = socket.local_addr().unwrap().port();
        ["127.0.0.1", "::1"].iter().all(|host| TcpStream::connect((*host, port)).is_ok())
    })
}

/// Sends to each source from an address of this host.
fn send(from: IpAddr, [avro, thrift, http, netcat, syslog, multiport, udp]: [u16; 7]) {
    let host = if from.is_ipv6() { format!("[{from}]") } else { from.to_string() };
    for (kind, port) in [("default", avro), ("thrift", thrift)] {
        let address = format!("{host}:{port}");
        let keys = [("client.type", kind), ("hosts", "h1"), ("hosts.h1", address.as_str())];
        RpcClient::from_properties(keys).unwrap().append(&Event::new(format!("{kind} {from}"))).unwrap();
    }
    let body = format!("[{{\"headers\":{{}},\"body\":\"http {from}\"}}]");
    let request = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    for (port, text, answer) in [
        (http, request, "HTTP/1.1 200"),
        (netcat, format!("netcat {from}\n"), "OK"),
        (syslog, format!("<13>Oct 11 22:14:15 web app: single {from}\n"), ""),
        (multiport, format!("<13>Oct 11 22:14:15 web app: multi {from}\n"), ""),
    ] {
        let mut stream = TcpStream::connect((from, port)).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        if !answer.is_empty() {
            let mut said = String::new();
            BufReader::new(stream).read_line(&mut said).unwrap();
            assert!(said.starts_with(answer), "{said}");
        }
    }
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.send_to(format!("<13>Oct 11 22:14:15 web app: datagram {from}").as_bytes(), (from, udp)).unwrap();
}

/// Goal: clients of both families reach a source at `0.0.0.0`, as in Java, and at `::`, and headers say who they are as Java writes
/// it; sinks and clients reach an address of IPv6.
#[test]
fn clients_and_servers_may_have_addresses_of_ipv6() {
    if !serves_both() {
        println!("skipped: the system has no IPv6");
        return;
    }
    for host in ["::", "[::]", "0.0.0.0"] {
        let dir = tempfile::tempdir().unwrap();
        let (running, ports) = start(free_ports, |ports| conf(dir.path(), host, ports), &Options::new());
        let clients = [IpAddr::from(Ipv6Addr::LOCALHOST), IpAddr::from(Ipv4Addr::LOCALHOST)];
        clients.into_iter().for_each(|client| send(client, ports));
        let begun = Instant::now();
        let expected = 3 + 7 * clients.len();
        while lines(dir.path()).len() < expected {
            let status: Vec<_> = running.stats().sinks.into_iter().map(|sink| sink.status).collect();
            assert!(begun.elapsed() < HANG, "{host}: {:?} {status:?}", lines(dir.path()));
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(running.shutdown(Drain::up_to(Duration::from_secs(30))).unwrap().is_drained());
        let all = lines(dir.path());
        let is_there = |parts: &[&str]| all.iter().any(|line| parts.iter().all(|part| line.contains(part)));
        for (from, ip) in [("::1", "ip=0:0:0:0:0:0:0:1"), ("127.0.0.1", "ip=127.0.0.1")] {
            for way in ["default", "thrift", "http", "netcat"] {
                assert!(is_there(&[&format!("{way} {from}")]), "{host}: {way} from {from}: {all:?}");
            }
            for way in ["single", "multi", "datagram"] {
                assert!(is_there(&[&format!("{way} {from}"), ip]), "{host}: {way} from {from}: {all:?}");
            }
        }
        for way in ["sink a", "sink t", "sink h"] {
            assert!(is_there(&[&format!("by={way}")]), "{host}: {way}: {all:?}");
        }
    }
}
