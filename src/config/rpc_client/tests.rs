use super::*;

fn problems(pairs: &[(&str, &str)]) -> Vec<String> {
    match RpcClient::from_properties(pairs.iter().copied()) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems().iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn clients_of_all_types_are_made_of_flumes_properties() {
    for kind in ["default", "DEFAULT_FAILOVER", "default_loadbalance", "org.apache.flume.api.FailoverRpcClient"] {
        let pairs = [
            ("client.type", kind),
            ("hosts", "h1  h2"),
            ("hosts.h1", "localhost:1"),
            ("hosts.h2", "localhost:2"),
            ("batch-size", "7"),
            ("requests-in-flight", "4"),
            ("connect-timeout", "2000"),
            ("request-timeout", "3000"),
            ("max-attempts", "5"),
            ("host-selector", "random"),
            ("backoff", "true"),
            ("maxBackoff", "10000"),
            ("compression-type", "deflate"),
            ("compression-level", "9"),
            ("maxIoWorkers", "4"),
        ];
        let client = RpcClient::from_properties(pairs).unwrap();
        assert_eq!((client.batch_events(), client.requests_in_flight()), (7, 4));
    }
}

#[test]
fn a_thrift_client_is_made_of_flumes_properties() {
    let base = [("hosts", "h1"), ("hosts.h1", "localhost:1"), ("maxConnections", "3"), ("batch-size", "9")];
    let several = [&base[1..], &[("client.type", "thrift"), ("hosts", "h1 h2"), ("hosts.h2", "localhost:2")]].concat();
    RpcClient::from_properties(several).expect("the first host counts");
    for kind in ["thrift", "THRIFT", "org.apache.flume.api.ThriftRpcClient"] {
        for protocol in ["binary", "COMPACT"] {
            let pairs = [&base[..], &[("client.type", kind), ("protocol", protocol), ("request-timeout", "2000")]];
            let client = RpcClient::from_properties(pairs.concat()).unwrap();
            assert_eq!((client.batch_events(), client.requests_in_flight()), (9, 1));
        }
    }
    let in_flight = [&base[..], &[("client.type", "thrift"), ("requests-in-flight", "4")]].concat();
    let found = problems(&in_flight);
    assert!(found.len() == 1 && found[0].contains("is for Avro RPC"), "{found:?}");
    let thrift = [&base[..], &[("client.type", "thrift"), ("protocol", "json"), ("max-attempts", "3")]].concat();
    let found = problems(&thrift);
    assert!(
        found.len() == 2 && found.iter().any(|one| one.starts_with("max-attempts: the client has no such")),
        "{found:?}"
    );
    assert!(problems(&[&base[..], &[("protocol", "binary")]].concat())[0].contains("has no such key"));
}

#[test]
fn mistakes_are_named_all_at_once() {
    assert_eq!(problems(&[]), ["hosts: is missing"]);
    let found = problems(&[
        ("client.type", "thrifty"),
        ("hosts", "h1 h2"),
        ("hosts.h1", "localhost:1"),
        ("batch-size", "0"),
        ("compression-type", "gzip"),
        ("requestTimeout", "1000"),
    ]);
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(found.contains(&"hosts.h2: is missing".to_owned()));
    assert!(found.contains(&"requestTimeout: the client has no such key; is it request-timeout?".to_owned()));
    let found = problems(&[("hosts", "h1"), ("hosts.h1", "here")]);
    assert!(found[0].contains("\"here\" is not an address; it must look like host:port"), "{found:?}");
    let found = problems(&[("hosts", "h1"), ("hosts.h1", "a:1"), ("client.type", "default_loadbalance")]);
    assert!(found[0].contains("at least two hosts"), "{found:?}");
}
