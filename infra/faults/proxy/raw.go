package proxy

import "bufio"

// Raw reads no protocol: a request or reply is what came at once.
var Raw Protocol = func() messages { return raw{} }

type raw struct{}

func (raw) request(r *bufio.Reader) (message []byte, asks string, answered bool, err error) {
	message, err = chunk(r)
	return message, string(message), false, err
}

func (raw) reply(r *bufio.Reader) (message []byte, says string, ends extent, err error) {
	message, err = chunk(r)
	return message, string(message), none, err
}

func chunk(r *bufio.Reader) ([]byte, error) {
	if _, err := r.Peek(1); err != nil {
		return nil, err
	}
	message := make([]byte, r.Buffered())
	_, err := r.Read(message)
	return message, err
}
