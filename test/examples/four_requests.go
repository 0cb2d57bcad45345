// Adds one to the number in a file, under a lock of a lock server: four_requests LOCKS KEY FILE
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"
)

type lock struct {
	Granted   bool    `json:"granted"`
	Request   string  `json:"request"`
	LockToken string  `json:"lockToken"`
	Duration  float64 `json:"duration"`
}

// The client's key is a secret: anyone who has it can renew and release this client's locks.
var client = random()

func random() string {
	key := make([]byte, 16)
	if _, err := rand.Read(key); err != nil {
		log.Fatal(err)
	}
	return hex.EncodeToString(key)
}

func post(url string, body map[string]string) (answer lock, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return answer, err
	}
	request, err := http.NewRequest("POST", url, bytes.NewReader(text))
	if err != nil {
		return answer, err
	}
	request.Header.Set("storelock-client", client)
	request.Header.Set("content-type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer, err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		return answer, fmt.Errorf("the lock server answered %s", response.Status)
	}
	return answer, json.NewDecoder(response.Body).Decode(&answer)
}

// keep renews the lock. If a renewal fails, the lock may be lost, so the program ends.
func keep(url string, grip map[string]string, every time.Duration) {
	for range time.Tick(every) {
		if _, err := post(url, grip); err != nil {
			log.Fatal(err)
		}
	}
}

func addOne(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var number int
	if _, err := fmt.Sscan(strings.TrimSpace(string(text)), &number); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(fmt.Sprintln(number+1)), 0o644)
}

func main() {
	locks, key, path := os.Args[1], os.Args[2], os.Args[3]
	held, err := post(locks+"/v1/acquire", map[string]string{"key": key})
	for err == nil && !held.Granted {
		// Other requests are ahead. Sending ours again by its name keeps its place in the queue.
		held, err = post(locks+"/v1/acquire", map[string]string{"key": key, "request": held.Request})
	}
	if err != nil {
		log.Fatal(err)
	}
	grip := map[string]string{"key": key, "lockToken": held.LockToken}
	go keep(locks+"/v1/renew", grip, time.Duration(held.Duration/3)*time.Millisecond)
	failed := addOne(path)
	if _, err := post(locks+"/v1/release", grip); err != nil {
		log.Print(err)
	}
	if failed != nil {
		log.Fatal(failed)
	}
}
