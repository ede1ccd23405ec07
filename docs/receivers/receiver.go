// A receiver of hookstream's requests: verifies each one, and stores it once.
//
//	WEBHOOK_SECRETS="whsec_..." PORT=8080 INBOX=inbox.tsv go run receiver.go
//
// WEBHOOK_SECRETS holds one secret, or several with spaces between them while a secret is
// exchanged. Each delivery becomes one line of the inbox: webhook-id, webhook-timestamp, request
// target. The rest of your program works from there. Go 1.21 or later, standard library only.
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const toleranceSeconds = 300

// decodeSecret gives the key in a secret: base64, with or without `whsec_` in front.
func decodeSecret(text string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
}

// whyInvalid says why a request is refused; empty if one of the keys has signed it within five
// minutes.
func whyInvalid(keys [][]byte, id, timestamp, signatures, target string, now time.Time) string {
	if id == "" || timestamp == "" || signatures == "" {
		return "the request is not signed"
	}
	// 48 bits: no overflow below, and no sign
	sent, err := strconv.ParseUint(timestamp, 10, 48)
	age := now.Unix() - int64(sent)
	if err != nil || age > toleranceSeconds || age < -toleranceSeconds {
		return "the timestamp is not within five minutes of now"
	}
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		// Not by encoding/json, which writes & as \u0026.
		fmt.Fprintf(mac, `%s.%s."%s"`, id, timestamp, target)
		expected := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		for _, given := range strings.Split(signatures, " ") {
			if hmac.Equal(expected, []byte(given)) {
				return ""
			}
		}
	}
	return "no signature fits"
}

// inbox is a file with one line for each delivery. In a database: a table whose primary key is the
// id.
//
// One process writes it. An id is known if and only if its line is complete, also after a crash.
type inbox struct {
	mutex sync.Mutex
	file  *os.File
	size  int64
	ids   map[string]bool
}

func openInbox(path string) (*inbox, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	complete := content[:bytes.LastIndexByte(content, '\n')+1] // a crash may have left half a line
	box := &inbox{file: file, size: int64(len(complete)), ids: map[string]bool{}}
	for _, line := range strings.Split(string(complete), "\n") {
		id, _, _ := strings.Cut(line, "\t")
		box.ids[id] = true
	}
	return box, file.Truncate(box.size)
}

// store writes the delivery if it is new. It fails if the disk does not take it.
func (box *inbox) store(id, timestamp, target string) error {
	box.mutex.Lock()
	defer box.mutex.Unlock()
	if box.ids[id] {
		return nil
	}
	line := []byte(id + "\t" + timestamp + "\t" + target + "\n")
	_, err := box.file.WriteAt(line, box.size)
	if err == nil {
		err = box.file.Sync()
	}
	if err != nil {
		_ = box.file.Truncate(box.size)
		return err
	}
	box.size += int64(len(line))
	box.ids[id] = true
	return nil
}

func main() {
	var keys [][]byte
	for _, text := range strings.Fields(os.Getenv("WEBHOOK_SECRETS")) {
		key, err := decodeSecret(text)
		if err != nil {
			log.Fatal("receiver: a secret is not base64: ", err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		log.Fatal("receiver: WEBHOOK_SECRETS is empty; set it to the hook's signing secret")
	}
	box, err := openInbox(orElse(os.Getenv("INBOX"), "inbox.tsv"))
	if err != nil {
		log.Fatal("receiver: ", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+orElse(os.Getenv("PORT"), "8080"))
	if err != nil {
		log.Fatal("receiver: ", err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	server := http.Server{Handler: handler(keys, box), ReadHeaderTimeout: time.Minute}
	log.Fatal(server.Serve(listener))
}

// handler answers 204 if the delivery is in the inbox, 401 if it is refused, 500 to have it again.
// It stands behind no http.ServeMux, which would redirect a path with two slashes.
func handler(keys [][]byte, box *inbox) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			w.Header().Set("allow", "GET")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		id, timestamp := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
		signatures := r.Header.Get("webhook-signature")
		reason := whyInvalid(keys, id, timestamp, signatures, r.RequestURI, time.Now())
		if reason != "" {
			http.Error(w, reason, http.StatusUnauthorized)
		} else if err := box.store(id, timestamp, r.RequestURI); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		} else {
			w.WriteHeader(http.StatusNoContent)
		}
	}
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
