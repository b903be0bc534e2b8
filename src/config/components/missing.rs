//! Components of Flume that this crate does not have: their names, so that a message can say so.

use super::super::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.sources.without(&["jms", "org.apache.flume.source.jms.JMSSource"], OWN_SOURCE);
    registry.sources.without(&["kafka", "org.apache.flume.source.kafka.KafkaSource"], OWN_SOURCE);
    registry.sources.without(&["twitter", "org.apache.flume.source.twitter.TwitterSource"], OWN_SOURCE);
    registry.sources.without(&["scribe", "org.apache.flume.source.scribe.ScribeSource"], OWN_SOURCE);
    registry.sources.without(&["avroLegacy", "org.apache.flume.source.avroLegacy.AvroLegacySource"], OWN_SOURCE);
    registry.sources.without(&["thriftLegacy", "org.apache.flume.source.thriftLegacy.ThriftLegacySource"], OWN_SOURCE);
    registry.sinks.without(&["hdfs", "org.apache.flume.sink.hdfs.HDFSEventSink"], HDFS);
    registry.sinks.without(&["hive", "org.apache.flume.sink.hive.HiveSink"], OWN_SINK);
    registry.sinks.without(&["hbase", "org.apache.flume.sink.hbase.HBaseSink"], OWN_SINK);
    registry.sinks.without(&["asynchbase", "org.apache.flume.sink.hbase.AsyncHBaseSink"], OWN_SINK);
    registry.sinks.without(&["hbase2", "org.apache.flume.sink.hbase2.HBase2Sink"], OWN_SINK);
    registry.sinks.without(&["elasticsearch", "org.apache.flume.sink.elasticsearch.ElasticSearchSink"], OWN_SINK);
    registry.sinks.without(&["irc", "org.apache.flume.sink.irc.IRCSink"], OWN_SINK);
    registry.sinks.without(&["morphline_solr", "org.apache.flume.sink.solr.morphline.MorphlineSolrSink"], OWN_SINK);
    registry.sinks.without(&["kafka", "org.apache.flume.sink.kafka.KafkaSink"], OWN_SINK);
    registry.sinks.without(&["kudu", "org.apache.flume.sink.kudu.KuduSink"], OWN_SINK);
    registry.sinks.without(&["dataset", "org.apache.flume.sink.kite.DatasetSink"], OWN_SINK);
    registry.channels.without(&["jdbc", "org.apache.flume.channel.jdbc.JdbcChannel"], FILE);
    registry.channels.without(&["kafka", "org.apache.flume.channel.kafka.KafkaChannel"], FILE);
    registry.channels.without(&["pseudo", "org.apache.flume.channel.PseudoTxnMemoryChannel"], "use memory");
    let morphline = ["morphline", "org.apache.flume.sink.solr.morphline.MorphlineInterceptor$Builder"];
    registry.interceptors.without(&morphline, "register one of your own under this name");
}

const OWN_SOURCE: &str = "register a source of your own under this name";
const OWN_SINK: &str = "register a sink of your own under this name";
const HDFS: &str = "write with file_roll where a job uploads from, or register a sink of your own under this name";
const FILE: &str = "use file";
