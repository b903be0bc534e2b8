// Prints what java.util.Properties makes of generated texts, for tests/fixtures/config/properties.txt:
//
//     java tests/peers/Properties.java > tests/fixtures/config/properties.txt
//
// One line for each text: the text in hexadecimal, a blank, and either `error` or `<key>=<value>` for each property,
// with UTF-16 units in hexadecimal, sorted, separated by commas; `-` if there is none.

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

class PropertiesPeer {
    static final String[] PIECES = {
        "a", "b", "key", "1", "=", ":", " ", "\t", "\f", "\n", "\r", "\r\n", "\\", "\\\\", "#", "!", "\\\n", "\\\r\n", "\\\r",
        "\\u00e9", "\\u0041", "\\uD83D", "\\uDE00", "\\u12", "\\uXYZW", "\\t", "\\n", "\\q", "\\=", "\\:", "\\ ", "\\#", "\u00e9", "\u00c3\u00a9",
        "\u0000", "\u00ff",
    };

    public static void main(String[] args) throws IOException {
        for (String text : new String[] {
            "", "a1.sources = s1 s2\n", "a1.sources s1", "a1.sources: s1\r\n", "  k\t=\tv  \n", "k=\n", "k", "=v", ":v", " = v", "k==v", "k: =v", "k =:v",
            "# c \\\nk=v", "! c\nk=v", "k=v # no comment", "k=a\\\n   b\\\n\tc\nd=e", "k=a\\\n\nb=c", "k=a\\\n#b\nc=d", "k\\ y=v", "k\\=y=v", "k\\:y:v",
            "k=\\u0068\\u00e9", "k=\\u006", "k=\\u00zz", "k=c:\\\\dir\\\\x", "k=c:\\dir", "k=a\nk=b", "\\", "\\\n", "\\\r\n", "\\\n#c\n", "k=v\\", "k=v\\\n",
            "\f k=v", "k\fv", "k=\u00c3\u00a9", "\u00f6=\u00ff", "\\\n\\\nk=v", "k=\\\n", "k=\\\r\n\r\nx", "\n\r\n \t\n", "k\\", "k=v\\\\\nx=y", "k=v\\\\\\\nx=y",
        }) {
            print(text);
        }
        Random random = new Random(20260101);
        for (int i = 0; i < 3000; i++) {
            StringBuilder text = new StringBuilder();
            int pieces = 1 + random.nextInt(14);
            for (int j = 0; j < pieces; j++) {
                text.append(PIECES[random.nextInt(PIECES.length)]);
            }
            print(text.toString());
        }
    }

    static void print(String text) throws IOException {
        byte[] bytes = text.getBytes(java.nio.charset.StandardCharsets.ISO_8859_1);
        StringBuilder line = new StringBuilder();
        for (byte b : bytes) {
            line.append(String.format("%02x", b & 0xff));
        }
        line.append(' ');
        java.util.Properties properties = new java.util.Properties();
        try {
            properties.load(new ByteArrayInputStream(bytes));
            List<String> pairs = new ArrayList<>();
            for (String key : properties.stringPropertyNames()) {
                pairs.add(units(key) + "=" + units(properties.getProperty(key)));
            }
            Collections.sort(pairs);
            line.append(pairs.isEmpty() ? "-" : String.join(",", pairs));
        } catch (IllegalArgumentException e) {
            line.append("error");
        }
        System.out.println(line);
    }

    static String units(String text) {
        StringBuilder out = new StringBuilder();
        for (char c : text.toCharArray()) {
            out.append(String.format("%04x", (int) c));
        }
        return out.toString();
    }
}
