/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The dictionary that both ends of SPDY/3 give to zlib: 65 words, each with
 * its length in four bytes before it, then a tail of common values. As words
 * here, because that is what can be read.
 */
#include "cri/spdy.h"

#include <string.h>

static const char words[] =
	"options,head,post,put,delete,trace,accept,accept-charset,accept-"
	"encoding,accept-language,accept-ranges,age,allow,authorization,cache-"
	"control,connection,content-base,content-encoding,content-language,"
	"content-length,content-location,content-md5,content-range,content-type,"
	"date,etag,expect,expires,from,host,if-match,if-modified-since,if-"
	"none-match,if-range,if-unmodified-since,last-modified,location,max-"
	"forwards,pragma,proxy-authenticate,proxy-authorization,range,referer,"
	"retry-after,server,te,trailer,transfer-encoding,upgrade,user-agent,"
	"vary,via,warning,www-authenticate,method,get,status,200 OK,version,"
	"HTTP/1.1,url,public,set-cookie,keep-alive,origin";

static const char tail[] =
	"1001012012022052063003023033043053063074024054064074084094104114124134144154"
	"16417502504505203 Non-Authoritative Information204 No Content301 Moved Perma"
	"nently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal "
	"Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Ju"
	"n Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTch"
	"unked,text/html,image/png,image/jpg,image/gif,application/xml,application/xh"
	"tml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcha"
	"rset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

void spdy_dictionary(unsigned char out[static SPDY_DICTIONARY])
{
	const char *word = words;

	for (;;) {
		size_t len = strcspn(word, ",");

		out[0] = out[1] = out[2] = 0;
		out[3] = (unsigned char)len;
		memcpy(out + 4, word, len);
		out += 4 + len;
		if (!word[len])
			break;
		word += len + 1;
	}
	memcpy(out, tail, sizeof(tail) - 1);
}
