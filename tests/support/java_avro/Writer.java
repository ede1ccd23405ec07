import java.io.*; import java.nio.ByteBuffer; import java.util.*;
import org.apache.avro.*; import org.apache.avro.generic.*; import org.apache.avro.io.*; import org.apache.avro.util.Utf8;
import org.apache.avro.Conversions; import java.math.BigDecimal; import java.time.Instant; import java.time.LocalDate;
import org.apache.avro.data.TimeConversions;

// Wrote the bytes of tests/contract/test_java_avro.py, with Apache Avro 1.12.0 for Java:
// java -cp "lib/*" Writer.java event.avsc (the jars of Apicurio Registry have it; Java 17).
public class Writer {
  public static void main(String[] a) throws Exception {
    Schema s = new Schema.Parser().parse(new File(a[0]));
    GenericData data = new GenericData();
    data.addLogicalTypeConversion(new Conversions.DecimalConversion());
    data.addLogicalTypeConversion(new Conversions.UUIDConversion());
    data.addLogicalTypeConversion(new TimeConversions.TimestampMicrosConversion());
    data.addLogicalTypeConversion(new TimeConversions.DateConversion());
    Schema item = s.getField("items").schema().getElementType();
    List<GenericRecord> items = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      GenericRecord r = new GenericData.Record(item);
      r.put("name", "ürün " + i); r.put("price", new BigDecimal("12.5" + i)); r.put("next", null);
      items.add(r);
    }
    items.get(0).put("next", items.get(1));
    Map<String, Object> tags = new LinkedHashMap<>();
    tags.put("a", 1L); tags.put("b", "x"); tags.put("c", null);
    GenericRecord e = new GenericData.Record(s);
    e.put("id", "e1"); e.put("at", Instant.parse("2026-11-24T10:00:00.000123Z"));
    e.put("day", LocalDate.of(2026, 11, 24)); e.put("uuid", UUID.fromString("00000000-0000-0000-0000-000000000005"));
    e.put("raw", ByteBuffer.wrap(new byte[] {0, (byte) 255})); e.put("rating", 0.1f);
    e.put("channel", new GenericData.EnumSymbol(s.getField("channel").schema(), "PUSH"));
    e.put("items", items); e.put("tags", tags);
    for (boolean blocking : new boolean[] {false, true}) {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      Encoder enc = blocking ? new EncoderFactory().configureBlockSize(64).blockingBinaryEncoder(out, null) : EncoderFactory.get().binaryEncoder(out, null);
      new GenericDatumWriter<GenericRecord>(s, data).write(e, enc); enc.flush();
      System.out.println(HexFormat.of().formatHex(out.toByteArray()));
    }
  }
}
