// SPDX-License-Identifier: Apache-2.0

package fakesmtp

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"github.com/emersion/go-smtp"
	"golang.org/x/crypto/md4" //nolint:staticcheck // NTLM is made of it (MS-NLMP, 3.3.2)
)

// NTLMChallenge is what a server of NTLM asks (MS-NLMP, 2.2.1.2), with the name of a domain.
var NTLMChallenge = func() []byte {
	const (
		unicode    = 0x00000001
		ntlm       = 0x00000200
		targetInfo = 0x00800000
		header     = 48
	)
	domain := utf16LE("FAKE")
	info := binary.LittleEndian.AppendUint16(nil, 2) // MsvAvNbDomainName
	info = binary.LittleEndian.AppendUint16(info, uint16(len(domain)))
	info = append(append(info, domain...), 0, 0, 0, 0) // MsvAvEOL
	message := append([]byte("NTLMSSP\x00"), 2, 0, 0, 0)
	message = appendField(message, len(domain), header)
	message = binary.LittleEndian.AppendUint32(message, unicode|ntlm|targetInfo)
	message = append(message, ntlmServerChallenge...)
	message = append(message, make([]byte, 8)...)
	message = appendField(message, len(info), header+len(domain))
	return append(append(message, domain...), info...)
}()

var ntlmServerChallenge = []byte("fakefake")

func appendField(message []byte, length, offset int) []byte {
	message = binary.LittleEndian.AppendUint16(message, uint16(length))
	message = binary.LittleEndian.AppendUint16(message, uint16(length))
	return binary.LittleEndian.AppendUint32(message, uint32(offset))
}

// ntlmServer is NTLM, version 2.
type ntlmServer struct {
	users map[string]string
	done  func(user string)
	asked bool
}

// Next implements sasl.Server.
func (n *ntlmServer) Next(response []byte) ([]byte, bool, error) {
	if !n.asked {
		n.asked = true
		if !bytes.HasPrefix(response, []byte("NTLMSSP\x00\x01")) {
			return nil, true, smtp.ErrAuthFailed
		}
		return NTLMChallenge, false, nil
	}
	proof, domain, user := field(response, 20), fromUTF16LE(field(response, 28)), fromUTF16LE(field(response, 36))
	password, known := n.users[user]
	hash := md4.New()
	_, _ = hash.Write(utf16LE(password))
	owner := hmacMD5(hash.Sum(nil), utf16LE(strings.ToUpper(user)+domain))
	if !known || len(proof) < md5.Size ||
		!hmac.Equal(proof[:md5.Size], hmacMD5(owner, append(bytes.Clone(ntlmServerChallenge), proof[md5.Size:]...))) {
		return nil, true, smtp.ErrAuthFailed
	}
	n.done(user)
	return nil, true, nil
}

// field is what a message holds where its header says so at that offset.
func field(message []byte, at int) []byte {
	if len(message) < at+8 {
		return nil
	}
	length, offset := int(binary.LittleEndian.Uint16(message[at:])), int(binary.LittleEndian.Uint32(message[at+4:]))
	if offset+length > len(message) {
		return nil
	}
	return message[offset : offset+length]
}

func hmacMD5(key, message []byte) []byte {
	mac := hmac.New(md5.New, key)
	mac.Write(message)
	return mac.Sum(nil)
}

func utf16LE(text string) []byte {
	var out []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return out
}

func fromUTF16LE(text []byte) string {
	var units []uint16
	for i := 0; i+1 < len(text); i += 2 {
		units = append(units, binary.LittleEndian.Uint16(text[i:]))
	}
	return string(utf16.Decode(units))
}
