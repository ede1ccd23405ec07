// A receiver of hookstream's requests: verifies each one, and stores it once.
//
//     WEBHOOK_SECRETS="whsec_..." PORT=8080 INBOX=inbox.tsv java Receiver.java
//
// WEBHOOK_SECRETS holds one secret, or several with spaces between them while a secret is
// exchanged. Each delivery becomes one line of the inbox: webhook-id, webhook-timestamp, request
// target. The rest of your program works from there. Java 17 or later, no libraries.

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Executors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Receiver {
    static final long TOLERANCE_SECONDS = 300;

    /** The key in a secret: base64, with or without `whsec_` in front. */
    static byte[] decodeSecret(String text) {
        return Base64.getDecoder().decode(text.startsWith("whsec_") ? text.substring(6) : text);
    }

    /** Why a request is refused; empty if one of the keys has signed it within five minutes. */
    static String whyInvalid(
            List<byte[]> keys, String id, String timestamp, String signatures, String target, Instant now)
            throws GeneralSecurityException {
        if (id == null || timestamp == null || signatures == null) {
            return "the request is not signed";
        }
        if (!timestamp.matches("[0-9]{1,12}")
                || Math.abs(now.getEpochSecond() - Long.parseLong(timestamp)) > TOLERANCE_SECONDS) {
            return "the timestamp is not within five minutes of now";
        }
        byte[] signed =
                (id + "." + timestamp + ".\"" + target + "\"").getBytes(StandardCharsets.ISO_8859_1);
        for (byte[] key : keys) {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(key, "HmacSHA256"));
            String expected = "v1," + Base64.getEncoder().encodeToString(mac.doFinal(signed));
            for (String given : signatures.split(" ")) {
                if (MessageDigest.isEqual( // takes the same time wherever they differ
                        expected.getBytes(StandardCharsets.ISO_8859_1),
                        given.getBytes(StandardCharsets.ISO_8859_1))) {
                    return "";
                }
            }
        }
        return "no signature fits";
    }

    /**
     * A file with one line for each delivery. In a database: a table whose primary key is the id.
     *
     * <p>One process writes it. An id is known if and only if its line is complete, also after a
     * crash.
     */
    static class Inbox {
        private final RandomAccessFile file;
        private final Set<String> ids = new HashSet<>();
        private long size;

        Inbox(String path) throws IOException {
            file = new RandomAccessFile(path, "rw");
            byte[] content = new byte[(int) file.length()];
            file.readFully(content);
            String text = new String(content, StandardCharsets.ISO_8859_1);
            size = text.lastIndexOf('\n') + 1;
            file.setLength(size); // a crash may have left half a line
            text.substring(0, (int) size).lines().forEach(line -> ids.add(line.split("\t")[0]));
        }

        /** Write the delivery if it is new. Throws if the disk does not take it. */
        synchronized void store(String id, String timestamp, String target) throws IOException {
            if (ids.contains(id)) {
                return;
            }
            String line = id + "\t" + timestamp + "\t" + target + "\n";
            try {
                file.seek(size);
                file.write(line.getBytes(StandardCharsets.ISO_8859_1));
                file.getFD().sync();
            } catch (IOException error) {
                file.setLength(size);
                throw error;
            }
            size += line.length();
            ids.add(id);
        }
    }

    /** Answers 204 if the delivery is in the inbox, 401 if it is refused, 500 to have it again. */
    static void handle(HttpExchange exchange, List<byte[]> keys, Inbox inbox) throws IOException {
        if (!exchange.getRequestMethod().equals("GET")) {
            exchange.getResponseHeaders().set("allow", "GET");
            answer(exchange, 405, "");
            return;
        }
        String id = exchange.getRequestHeaders().getFirst("webhook-id");
        String timestamp = exchange.getRequestHeaders().getFirst("webhook-timestamp");
        String signatures = exchange.getRequestHeaders().getFirst("webhook-signature");
        // toString is the target as received; getPath and getQuery are decoded.
        String target = exchange.getRequestURI().toString();
        try {
            String reason = whyInvalid(keys, id, timestamp, signatures, target, Instant.now());
            if (!reason.isEmpty()) {
                answer(exchange, 401, reason);
                return;
            }
            inbox.store(id, timestamp, target);
            answer(exchange, 204, "");
        } catch (IOException | GeneralSecurityException error) {
            answer(exchange, 500, String.valueOf(error.getMessage()));
        }
    }

    static void answer(HttpExchange exchange, int status, String text) throws IOException {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }

    static String env(String name, String otherwise) {
        String text = System.getenv(name);
        return text == null || text.isEmpty() ? otherwise : text;
    }

    public static void main(String[] arguments) throws IOException {
        List<byte[]> keys = new ArrayList<>();
        for (String text : env("WEBHOOK_SECRETS", "").split(" ")) {
            if (!text.isEmpty()) {
                keys.add(decodeSecret(text));
            }
        }
        if (keys.isEmpty()) {
            System.err.println(
                    "receiver: WEBHOOK_SECRETS is empty; set it to the hook's signing secret");
            System.exit(1);
        }
        Inbox inbox = new Inbox(env("INBOX", "inbox.tsv"));
        int port = Integer.parseInt(env("PORT", "8080"));
        HttpServer server =
                HttpServer.create(
                        new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
        server.setExecutor(Executors.newFixedThreadPool(16));
        server.createContext("/", exchange -> handle(exchange, keys, inbox));
        server.start();
        System.out.println("listening on 127.0.0.1:" + server.getAddress().getPort());
    }
}
